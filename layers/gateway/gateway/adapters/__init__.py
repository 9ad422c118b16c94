"""The only code that touches the network, AWS, the disk and the environment."""
