"""One module per kind of place that ``bench(on=...)`` takes; each holds a ``PLACE``."""
