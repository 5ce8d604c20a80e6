"""One module per kind of place that ``bench(on=...)`` accepts; each defines a ``PLACE``."""
