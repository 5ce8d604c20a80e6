"""Where the images to classify come from: one file per kind.

Each source gives frames, one after the other, each with a name; a broken one is a frame that fails to load and does
not end the stream.
"""
