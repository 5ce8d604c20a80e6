"""Files that Keras downloaded: damaged ones are discarded with one line and downloaded again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from support import Notes, lazy_module

from tledge.core.errors import WeightsError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.keras_downloads import DownloadError, load_with_downloads, module_of
from tledge.core.progress import Progress
from tledge.train.backbone import BACKBONES
from tledge.train.weights import build_with_weights
from tledge.visualize.pretrained import model_of_backbone

lazy_module("keras")

NAME = "net.h5"
CONTENT = bytes(range(256)) * 20


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file belongs, in a Keras folder of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()
    return tmp_path / "keras" / "models" / NAME


class Server:
    """Stands in for ``keras.utils.get_file`` and what it downloads from."""

    def __init__(self, content: bytes = CONTENT, error: Exception | None = None) -> None:
        self.module = SimpleNamespace(get_file=self.get_file)
        self.content, self.error = content, error
        self.downloads = 0

    def get_file(self, fname: str, origin: str, *, cache_subdir: str, cache_dir: str, file_hash: str | None) -> str:
        self.downloads += 1
        if self.error is not None:
            raise self.error
        path = Path(cache_dir) / cache_subdir / fname
        path.write_bytes(self.content)
        return str(path)

    def load(self, progress: Progress, file_hash: str | None = None) -> bytes:
        """Gets the file and reads it as a library would, which notices what is cut off and nothing else."""

        def build() -> bytes:
            path = self.module.get_file(NAME, "http://any/net.h5", cache_subdir="models", file_hash=file_hash)
            content = Path(path).read_bytes()
            if len(content) != len(CONTENT):
                raise OSError("truncated file")
            return content

        return load_with_downloads(build, get_file_module=self.module, progress=progress)


def swap_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3], content[-3] = content[-3], content[3]
    path.write_bytes(content)


def replace_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda path: os.truncate(path, 1000), "changed since it was downloaded"),
    "swapped bytes": (swap_bytes, "changed since it was downloaded"),
    "emptied": (lambda path: os.truncate(path, 0), "changed since it was downloaded"),
    "a folder instead": (replace_by(Path.mkdir), "not a regular file"),
    "a pipe instead": (replace_by(os.mkfifo), "not a regular file"),
    "a broken link instead": (replace_by(lambda path: path.symlink_to("nothing")), "not a regular file"),
}


@pytest.mark.unit
@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_download_is_downloaded_again(place: Path, damage: Callable[[Path], object], reason: str) -> None:
    server, notes = Server(), Notes()
    for _ in range(2):
        assert server.load(notes) == CONTENT
    assert (server.downloads, notes.notes) == (1, [])
    damage(place)
    assert server.load(notes) == CONTENT
    assert server.downloads == 2
    assert len(notes.notes) == 1
    assert notes.notes[0].startswith(f"discarded '{place}', which is damaged: it ")
    assert reason in notes.notes[0]
    assert list(place.parent.iterdir()) == [place]
    assert server.load(notes) == CONTENT
    assert server.downloads == 2


@pytest.mark.unit
@pytest.mark.parametrize("damage", ["truncated", "emptied", "a folder instead", "a pipe instead"])
def test_a_file_that_others_left_is_downloaded_again_if_it_cannot_be_loaded(place: Path, damage: str) -> None:
    server, notes = Server(), Notes()
    place.parent.mkdir()
    place.write_bytes(CONTENT)
    assert server.load(notes) == CONTENT
    assert server.downloads == 0, "an intact one is used as it is"
    shutil.rmtree(os.environ["XDG_CACHE_HOME"])
    DAMAGES[damage][0](place)
    assert server.load(notes) == CONTENT
    assert server.downloads == 1
    assert len(notes.notes) == 1


@pytest.mark.unit
def test_an_altered_file_with_a_hash_of_keras_is_noticed_at_first_use(place: Path) -> None:
    server, notes = Server(), Notes()
    place.parent.mkdir()
    place.write_bytes(CONTENT)
    sha256 = sha256_of_file(place)
    swap_bytes(place)
    assert server.load(notes, file_hash=sha256) == CONTENT
    assert notes.notes == [f"discarded '{place}', which is damaged: it does not have the hash that Keras gives"]


@pytest.mark.unit
@pytest.mark.parametrize(
    "damage", [Path.unlink, swap_bytes, lambda path: os.truncate(path, 20), replace_by(Path.mkdir)]
)
def test_a_damaged_record_discards_no_good_file(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    server, notes = Server(), Notes()
    server.load(notes)
    (record,) = (tmp_path / "cache" / "tledge" / "downloads").iterdir()
    damage(record)
    for _ in range(2):
        assert server.load(notes) == CONTENT
    assert (server.downloads, notes.notes) == (1, [])
    assert record.is_file()


@pytest.mark.unit
def test_damage_is_not_blamed_on_the_connection(place: Path) -> None:
    server, notes = Server(), Notes()
    server.load(notes)
    swap_bytes(place)
    server.error = Exception("URL fetch failure on http://any/net.h5: None -- [Errno 111] Connection refused")
    with pytest.raises(DownloadError, match=r"net.h5 \(the file that was there is damaged and was discarded; \[Errno"):
        server.load(notes)
    server.error = OSError(28, "No space left on device")
    with pytest.raises(DownloadError, match=r"^net.h5 \(No space left on device\)$"):
        server.load(notes)
    assert not place.exists()


@pytest.mark.unit
def test_the_module_of_a_function_is_where_it_can_be_replaced() -> None:
    assert module_of(swap_bytes) is sys.modules[__name__]


@pytest.mark.unit
def test_other_errors_pass_and_what_keras_gives_is_put_back() -> None:
    server = Server()
    original = server.module.get_file

    def build() -> None:
        raise ValueError("an image that is too small")

    with pytest.raises(ValueError, match="an image that is too small"):
        load_with_downloads(build, get_file_module=server.module, progress=Progress())
    assert server.module.get_file == original


@pytest.fixture
def short_server() -> Iterator[str]:
    """Serves 1,000 of the 5,000 bytes that it announces."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(bytes(1000))

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_download_that_ends_early_is_called_that(
    short_server: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is that of Keras's own downloads, of a network in training and of one that is visualized."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for module in ("mobilenet_v2", "mobilenet"):
        monkeypatch.setattr(import_module(f"keras.src.applications.{module}"), "BASE_WEIGHT_PATH", f"{short_server}/")
    expected = r"\.h5 \(the download ended early: received 1,000 of 5,000 bytes\); put that file into .*models, or"
    with pytest.raises(WeightsError, match=rf"weights of MobileNetV2: mobilenet_v2_\S+{expected}"):
        build_with_weights(BACKBONES.load("mobilenet_v2"), 160, weights="imagenet")
    with pytest.raises(WeightsError, match=rf"weights of MobileNet: mobilenet_\S+{expected}"):
        model_of_backbone("mobilenet", "imagenet", image_size=224)
    assert list(place.parent.iterdir()) == [], "nothing is left of it"


def test_damaged_weights_are_named_where_nothing_can_be_downloaded(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        import_module("keras.src.applications.mobilenet_v2"), "BASE_WEIGHT_PATH", "http://127.0.0.1:9/none/"
    )
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    place.parent.mkdir()
    weights = place.with_name("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top.h5")
    weights.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(5000))
    notes = Notes()
    with pytest.raises(WeightsError, match="the file that was there is damaged and was discarded; "):
        build_with_weights(BACKBONES.load("mobilenet_v2"), 160, weights="imagenet", progress=notes)
    assert len(notes.notes) == 1
    assert "which is damaged: it cannot be loaded" in notes.notes[0]
    assert not weights.exists()
