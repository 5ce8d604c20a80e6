"""Which operators take the time, by the runtimes' own profilers."""
