"""The results of a benchmark: settings, raw samples, measurements, rows and columns, and the reader of them all."""
