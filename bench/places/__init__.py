"""Where a benchmark runs: this machine, another one by ssh, an emulated board."""
