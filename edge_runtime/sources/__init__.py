"""The sources of images to classify: one module per kind.

A source yields frames one after the other, each with a name. A broken frame fails to load and does not end the stream.
"""
