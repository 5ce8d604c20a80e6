"""Shared by all rooms: errors, registries, records, artifacts, run directories, measurements, images, workers.

Imports nothing but the standard library, numpy, Pillow and msgspec.
"""
