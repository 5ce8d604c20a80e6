"""Measures artifacts: rounds, the processes that run them, the state of the machine and of the board."""
