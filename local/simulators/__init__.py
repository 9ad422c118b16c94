"""Provider simulators: one process that answers as the LLM providers answer, by rule and without a network.

Run with ``python -m local.simulators --port N``; the rules are in the README beside this file.
"""
