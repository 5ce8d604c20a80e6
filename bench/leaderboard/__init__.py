"""Leaderboards: benchmarks of several runs, backbones and machines in one place."""
