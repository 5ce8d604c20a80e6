"""What all rooms share: errors, registries, artifacts, run directories, measurements, images.

Imports nothing but the standard library, numpy, Pillow and msgspec.
"""
