"""The sources of images to classify: one module per kind.

A source yields frames one after the other, each with a name. A broken frame fails to load and does not end the stream.
"""

from tledge.edge_runtime.sources.camera import Camera, open_camera
from tledge.edge_runtime.sources.frame import Chain, Frame, Source
from tledge.edge_runtime.sources.photo_files import PhotoFiles
from tledge.edge_runtime.sources.source_lookup import find_sources
from tledge.edge_runtime.sources.standard_input import StandardInput
from tledge.edge_runtime.sources.video import Video
from tledge.edge_runtime.sources.watched_folder import WatchedFolder

__all__ = [
    "Camera",
    "Chain",
    "Frame",
    "PhotoFiles",
    "Source",
    "StandardInput",
    "Video",
    "WatchedFolder",
    "find_sources",
    "open_camera",
]
