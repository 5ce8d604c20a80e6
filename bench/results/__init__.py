"""What a benchmark wrote: settings, raw samples, measurements, table rows and columns, and how they are read."""
