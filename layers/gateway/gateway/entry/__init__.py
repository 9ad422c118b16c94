"""Front doors: what Lambda starts. Each reads its event, runs the pipeline and writes the answer."""
