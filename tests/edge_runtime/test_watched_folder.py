"""A folder that is watched gives each new image once, when it is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import pytest
from frame_sample import jpeg, shades_of, touch

from tledge.core.errors import SourceError
from tledge.edge_runtime.sources import watched_folder
from tledge.edge_runtime.sources.frame import Frame
from tledge.edge_runtime.sources.watched_folder import WatchedFolder


@contextmanager
def watched(folder: Path) -> Iterator[tuple[WatchedFolder, Queue[Frame | Exception]]]:
    """A folder that is watched by a thread, and what that gave."""
    source, found, ended = WatchedFolder(folder), Queue[Frame | Exception](), Event()

    def collect() -> None:
        try:
            for frame in source.frames(ended):
                found.put(frame)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            found.put(error)

    thread = Thread(target=collect, daemon=True)
    thread.start()
    try:
        yield source, found
    finally:
        ended.set()
        thread.join(10)
        assert not thread.is_alive()


class TestWatchedFolder:
    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watched_folder, "INTERVAL", 0.05)

    @staticmethod
    def take(found: "Queue[Frame | Exception]") -> str:
        frame = found.get(timeout=20)
        assert not isinstance(frame, Exception), frame
        return frame.name

    def test_what_is_there_is_left_and_what_comes_is_given(self, tmp_path: Path) -> None:
        touch(tmp_path, "old.jpg", "deep/old.png", ".hidden.jpg")
        (tmp_path / "notes.txt").write_text("no photo")
        with watched(tmp_path) as (source, found):
            assert source.left == 2
            assert source.width == len(str(tmp_path / "deep/old.png"))
            touch(tmp_path, "new.jpg")
            assert self.take(found) == str(tmp_path / "new.jpg")
            touch(tmp_path, "later/.x.jpg", "later/new.png")
            (tmp_path / "later" / "notes.txt").write_text("no photo")
            assert self.take(found) == str(tmp_path / "later/new.png")
        assert found.empty()

    def test_the_oldest_comes_first(self, tmp_path: Path) -> None:
        aside = tmp_path / "aside"
        touch(aside, "a.jpg", "b.jpg", "c.jpg")
        for name, at in (("a.jpg", 300), ("b.jpg", 100), ("c.jpg", 200)):
            os.utime(aside / name, (at, at))
        (tmp_path / "inbox").mkdir()
        with watched(tmp_path / "inbox") as (_, found):
            aside.rename(tmp_path / "inbox" / "dropped")
            assert [Path(self.take(found)).name for _ in range(3)] == ["b.jpg", "c.jpg", "a.jpg"]

    def test_a_half_written_one_is_waited_for(self, tmp_path: Path) -> None:
        content = jpeg(80)
        pieces = [content[at : at + 100] for at in range(0, len(content), 100)]
        looks: list[int] = []

        class Growing(WatchedFolder):
            """More of the photo is there at each look, to the last."""

            def _look(self) -> dict[str, watched_folder.State]:
                if len(looks) < len(pieces):
                    with (tmp_path / "slow.jpg").open("ab") as file:
                        file.write(pieces[len(looks)])
                looks.append(len(looks))
                return super()._look()

        frame = next(Growing(tmp_path).frames(Event()))
        assert len(looks) == len(pieces) + 1
        assert shades_of([frame]) == [80]

    def test_one_that_is_replaced_is_given_again(self, tmp_path: Path) -> None:
        touch(tmp_path, "old.jpg")
        with watched(tmp_path) as (_, found):
            (tmp_path / "old.jpg").write_bytes(jpeg(10) + b"longer")
            assert self.take(found) == str(tmp_path / "old.jpg")
            (tmp_path / "old.jpg").write_bytes(jpeg(20) + b"longer still")
            assert self.take(found) == str(tmp_path / "old.jpg")
        assert found.empty()

    def test_what_is_removed_is_forgotten(self, tmp_path: Path) -> None:
        """So memory is bounded by what the folder holds: the same file, put back, is a new one."""
        touch(tmp_path, "x.jpg")
        state = (tmp_path / "x.jpg").stat()
        with watched(tmp_path) as (_, found):
            (tmp_path / "x.jpg").unlink()
            touch(tmp_path, "mark.jpg")
            assert self.take(found) == str(tmp_path / "mark.jpg")
            touch(tmp_path.parent, "aside.jpg")
            os.utime(tmp_path.parent / "aside.jpg", ns=(state.st_atime_ns, state.st_mtime_ns))
            (tmp_path.parent / "aside.jpg").rename(tmp_path / "x.jpg")
            assert (tmp_path / "x.jpg").stat().st_mtime_ns == state.st_mtime_ns
            assert self.take(found) == str(tmp_path / "x.jpg")

    def test_a_pipe_or_a_link_to_nothing_is_no_photo(self, tmp_path: Path) -> None:
        with watched(tmp_path) as (_, found):
            os.mkfifo(tmp_path / "pipe.jpg")
            (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
            touch(tmp_path, "z.jpg")
            assert self.take(found) == str(tmp_path / "z.jpg")
        assert found.empty()

    def test_what_comes_is_known_by_its_content(self, tmp_path: Path) -> None:
        (tmp_path / "old").write_bytes(jpeg(1))
        (tmp_path / "old.txt").touch()
        with watched(tmp_path) as (source, found):
            assert source.left == 1
            assert source.left_out == {}, "files that were there are no arrivals"
            (tmp_path / "note.txt").write_text("hello")
            (tmp_path / "a.JFIF").write_bytes(jpeg(2))
            assert self.take(found) == str(tmp_path / "a.JFIF")
            (tmp_path / "note.txt").write_text("hello again")
            (tmp_path / "b").write_bytes(jpeg(3))
            assert self.take(found) == str(tmp_path / "b")
            assert source.left_out == {".txt": 1}, "a file that changes counts once"
            (tmp_path / "note.txt").unlink()
            (tmp_path / "c.jpg").write_bytes(jpeg(4))
            assert self.take(found) == str(tmp_path / "c.jpg")
            assert source.left_out == {".txt": 1}

    def test_a_folder_below_may_vanish(self, tmp_path: Path) -> None:
        touch(tmp_path, "deep/a.jpg")
        with watched(tmp_path) as (_, found):
            (tmp_path / "deep" / "a.jpg").unlink()
            (tmp_path / "deep").rmdir()
            touch(tmp_path, "b.jpg")
            assert self.take(found) == str(tmp_path / "b.jpg")

    def test_a_folder_that_vanishes_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "inbox").mkdir()
        with watched(tmp_path / "inbox") as (_, found):
            (tmp_path / "inbox").rmdir()
            error = found.get(timeout=20)
        assert isinstance(error, SourceError)
        assert str(error) == f"cannot watch folder '{tmp_path / 'inbox'}': No such file or directory"

    def test_no_folder_is_refused_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="cannot watch folder '.*gone': No such file"):
            WatchedFolder(tmp_path / "gone")
        touch(tmp_path, "a.jpg")
        with pytest.raises(SourceError, match="cannot watch folder '.*a.jpg': Not a directory"):
            WatchedFolder(tmp_path / "a.jpg")
