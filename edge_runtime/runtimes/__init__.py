"""One module per runtime; each defines a ``RUNTIME``."""
