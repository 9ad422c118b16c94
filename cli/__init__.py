"""The command `gateway`: the administration of an LLM gateway from a terminal."""
