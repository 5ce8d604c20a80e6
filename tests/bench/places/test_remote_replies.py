"""Replies of another machine that arrive damaged."""

from base64 import b64encode
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from tledge.bench.places.remote.remote_folder import RemoteFolder
from tledge.bench.places.remote.remote_rounds import _read_round
from tledge.core.errors import HostError, MeasurementError
from tledge.core.progress import Progress

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"round": 5, "start": 1.0, "found": False},
        {"round": "!", "start": 1.0, "found": False},
        {"round": b64encode(b"PK").decode(), "start": 1.0, "found": False},
    ],
)
def test_a_damaged_round_fails_its_cell_alone(reply: dict[str, Any]) -> None:
    with pytest.raises(MeasurementError, match=r"^the results of int8\.tflite arrived damaged: "):
        _read_round(reply, "int8.tflite")


@pytest.mark.parametrize("printed", [b"\xff\n", b"not JSON\n"])
def test_a_reply_that_is_no_message_is_an_error_of_the_host(printed: bytes) -> None:
    folder: Any = object.__new__(RemoteFolder)
    folder._connection = SimpleNamespace(host="board", run=lambda *_, **__: printed)
    folder._progress = Progress()
    folder.path = PurePosixPath("/there")
    with pytest.raises(HostError, match=r"^the reply of 'board' is damaged: "):
        folder.ask("module", {}, purpose="measure it")
