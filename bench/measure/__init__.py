"""How a benchmark measures: rounds, the processes that answer, the state of the machine, the board."""
