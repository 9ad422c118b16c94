"""Normalised request, reply, usage, money and errors. No I/O."""
