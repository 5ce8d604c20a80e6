"""One module per format; each holds a ``FORMAT``."""
