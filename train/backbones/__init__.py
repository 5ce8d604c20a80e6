"""One module per backbone; each holds a ``BACKBONE``."""
