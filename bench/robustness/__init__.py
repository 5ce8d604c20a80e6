"""Robustness of artifacts: accuracy on corrupted photos and under attack."""
