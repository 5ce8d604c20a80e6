"""One module per runtime; each holds a ``RUNTIME``."""
