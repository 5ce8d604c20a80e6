"""Benchmarks over a real sshd on localhost, in an account of its own that the test makes and throws away."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest
from support import tledge, write_stripes

from tledge.bench import bench
from tledge.bench.places.kinds import ssh as ssh_place
from tledge.bench.places.remote import connection
from tledge.bench.places.remote.connection import Account, Connection
from tledge.core.errors import ConnectionLostError, HostError
from tledge.core.progress import Progress

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_sshd = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="needs Debian's packages openssh-server and openssh-client"
)


@dataclass
class Board:
    """A machine to be reached: this one, through its own sshd.

    Attributes:
        folder: keys and configuration.
        home: of the account.
        port: where it listens.
    """

    folder: Path
    home: Path
    port: int
    server: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def cache(self) -> Path:
        return self.home / ".cache/tledge/bench"

    def start(self) -> None:
        command = [str(SSHD), "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.folder / "log")]
        self.server = subprocess.Popen(command)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text())

    def drop_connections(self) -> int:
        """Kills the processes of sshd that hold connections, as a pulled cable does to ssh; returns how many."""
        assert self.server is not None
        children = psutil.Process(self.server.pid).children(recursive=True)
        sessions = [child for child in children if child.name().startswith("sshd")]  # "sshd-session" since OpenSSH 9.8
        for session in sessions:
            session.kill()
        return len(sessions)

    def stop(self) -> None:
        """Ends sshd with all its connections."""
        if self.server is not None:
            self.drop_connections()
            self.server.kill()
            self.server.wait()

    def rounds(self) -> set[Path]:
        """The rounds that were measured there so far."""
        return set(self.cache.glob("*/rounds/*.npz"))


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """An account directory with keys, and an sshd that knows nobody else."""
    folder = tmp_path_factory.mktemp("sshd")
    home = folder / "home"
    home.mkdir()
    for key in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pip = next(
        (path for path in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf") if path.exists()), ""
    )
    variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    variables |= {"HOME": str(home), "TMPDIR": str(folder), **({"PIP_CONFIG_FILE": str(pip)} if pip else {})}
    variables["PATH"] = f"{Path(sys.executable).resolve().parent}:/usr/local/bin:/usr/bin:/bin"
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"SetEnv {' '.join(json.dumps(f'{name}={value}') for name, value in variables.items())}\n"
    )
    known = (folder / "host.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {known[0]} {known[1]}\n")
    write_config(folder / "ssh_config", port, identity=folder / "user", known_hosts=folder / "known_hosts")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # privilege separation, as Debian's service makes it
    board = Board(folder, home, port)
    board.start()
    yield board
    board.stop()


def write_config(path: Path, port: int, *, identity: Path, known_hosts: Path) -> Path:
    path.write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {identity}\n  IdentitiesOnly yes\n"
        f"  IdentityAgent none\n  UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
    )
    return path


@pytest.fixture(scope="module")
def photos_of_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in the three classes of the tiny model."""
    root = tmp_path_factory.mktemp("three")
    stripes = write_stripes(root / "stripes", per_class=4)
    data = root / "data"
    for name, source in zip(("cat", "dog", "emu"), sorted(stripes.rglob("*.jpg"))[::2], strict=False):
        (data / name).mkdir(parents=True)
        for number in range(3):
            shutil.copyfile(source, data / name / f"{number} odd 'name' é.jpg")
    return data


def cells(results: Path) -> dict[tuple[str, ...], float | None]:
    """Every row by what it is; the value of those that do not depend on the clock."""
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    steady = ("top1", "file_size", "mcnemar")
    return {
        (row["artifact"], row["target"], row["metric"], str(row["params"].get("batch", ""))): (
            row["value"] if row["metric"] in steady else None
        )
        for row in rows
    }


@needs_sshd
@pytest.mark.slow
def test_a_benchmark_on_another_machine_leaves_rows_here_and_nothing_there(
    account: Board, tiny_artifacts: Path, photos_of_three: Path, tmp_path: Path
) -> None:
    done = tledge(
        "bench",
        tiny_artifacts / "float32.tflite",
        tiny_artifacts / "float32.onnx",
        *("--data", photos_of_three, "--on", "ssh:board", "--ssh-config", account.config, "--rounds", 2),
        *("--seconds", 0.2, "--batch-sizes", 1, "--target", "litert:cpu:1", "--target", "onnxruntime:cpu:1"),
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    there = tmp_path / "bench-results-ssh-board"
    rows = [json.loads(line) for line in (there / "results.jsonl").read_text().splitlines()]
    top1 = {row["artifact"]: row["n"] for row in rows if row["metric"] == "top1"}
    assert top1 == {"float32.tflite": 9, "float32.onnx": 9}
    assert {row["metric"] for row in rows} >= {"latency_p50", "latency_p90", "throughput", "cold_start", "peak_memory"}
    assert json.loads((there / "run.json").read_text())["on"] == "ssh:board"
    assert "on ssh:board" in (there / "report.md").read_text()
    assert not account.cache.exists(), "the board is left as it was found"
    here = tledge(
        "bench",
        tiny_artifacts / "float32.tflite",
        "--data",
        photos_of_three,
        "--rounds",
        1,
        "--seconds",
        0.1,
        cwd=tmp_path,
    )
    assert here.code == 0, here.err
    top1_here = next(
        json.loads(line)["value"]
        for line in (tmp_path / "bench-results/results.jsonl").read_text().splitlines()
        if '"top1"' in line
    )
    assert cells(there / "results.jsonl")["float32.tflite", "litert:cpu:1", "top1", ""] == top1_here


@needs_sshd
@pytest.mark.slow
def test_a_lost_connection_is_tried_again_and_after_a_long_loss_the_same_command_goes_on(
    account: Board, tiny_artifacts: Path, photos_of_three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []

    class RecordingProgress(Progress):
        def note(self, label: str, text: str) -> None:
            notes.append(f"{label}: {text}")

        def warn(self, text: str) -> None:
            notes.append(text)

    def run(output: str) -> Path:
        record = bench(
            files=[tiny_artifacts / "float32.tflite", tiny_artifacts / "float32.onnx"],
            data=photos_of_three,
            output=tmp_path / output,
            targets=["litert:cpu:1", "onnxruntime:cpu:1"],
            rounds=3,
            seconds=0.3,
            batch_sizes=(1,),
            on="ssh:board",
            ssh_config=account.config,
            progress=RecordingProgress(),
        )
        return record.results

    def when_rounds(count: int, action: Event) -> Thread:
        """Drops the connections as soon as so many rounds were measured there."""

        def watch() -> None:
            deadline = time.monotonic() + 300
            while len(account.rounds()) < count and time.monotonic() < deadline:
                time.sleep(0.02)
            while not account.drop_connections() and time.monotonic() < deadline:
                time.sleep(0.005)
            action.set()

        thread = Thread(target=watch, daemon=True)
        thread.start()
        return thread

    whole = cells(run("whole"))
    assert not any("lost" in note for note in notes)

    dropped = Event()
    watcher = when_rounds(2, dropped)
    resumed = cells(run("tried-again"))
    watcher.join()
    assert dropped.is_set()
    assert any("was lost" in note and "trying again" in note for note in notes)
    assert resumed == whole
    notes.clear()

    monkeypatch.setattr(connection, "PATIENCE", 0.0)
    watcher = when_rounds(3, Event())
    with pytest.raises(ConnectionLostError, match=r"the connection to 'board' was lost"):
        run("cut-off")
    watcher.join()
    assert any("run the same command again to resume" in note for note in notes)
    measured = {path: path.stat().st_mtime_ns for path in account.rounds()}
    assert len(measured) >= 3
    assert not (tmp_path / "cut-off/results.jsonl").exists()

    seen: dict[Path, int] = {}
    removed = ssh_place.RemoteFolder.remove

    def note_and_remove(remote_folder: ssh_place.RemoteFolder) -> None:
        seen.update({path: path.stat().st_mtime_ns for path in account.rounds()})
        removed(remote_folder)

    monkeypatch.setattr(ssh_place.RemoteFolder, "remove", note_and_remove)
    assert cells(run("cut-off")) == whole
    assert any(note.startswith("Resumed:") for note in notes)
    assert {path: seen[path] for path in measured} == measured, "no round was measured twice"
    assert not account.cache.exists()


@needs_sshd
@pytest.mark.slow
def test_a_killed_benchmark_goes_on_too(
    account: Board, tiny_artifacts: Path, photos_of_three: Path, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-P", "-c", "from tledge.cli.main import main; main()", "bench"),
        *(tiny_artifacts / "float32.tflite", "--data", photos_of_three, "--on", "ssh:board"),
        *("--ssh-config", account.config, "--rounds", "3", "--seconds", "0.3", "--batch-sizes", "1"),
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(account.rounds()) < 1:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "from before the connection was lost" in done.stdout
    assert not account.cache.exists()


@needs_sshd
def test_no_password_is_asked_for_and_no_unknown_machine_is_trusted(account: Board, tmp_path: Path) -> None:
    def reach(config: Path) -> bytes:
        return Connection(Account("board"), config, Progress()).run(["echo", "here", "it's"], purpose="speak")

    assert reach(account.config) == b"here it's\n"
    known = account.folder / "known_hosts"
    stranger = write_config(
        tmp_path / "stranger", account.port, identity=account.folder / "stranger", known_hosts=known
    )
    with pytest.raises(
        HostError,
        match=r"accepts none of your keys, and tledge does not ask for passwords: run 'ssh-copy-id -F .* board'",
    ):
        reach(stranger)
    user = account.folder / "user"
    unknown = write_config(tmp_path / "unknown", account.port, identity=user, known_hosts=tmp_path / "nobody")
    unknown.write_text(unknown.read_text() + "  StrictHostKeyChecking no\n")  # which would be a silent fallback
    with pytest.raises(HostError, match=r"its host key is unknown here or has changed: run 'ssh -F .* board' once"):
        reach(unknown)
    other = (account.folder / "stranger.pub").read_text().split()
    (tmp_path / "other").write_text(f"[127.0.0.1]:{account.port} {other[0]} {other[1]}\n")
    changed = write_config(tmp_path / "changed", account.port, identity=user, known_hosts=tmp_path / "other")
    with pytest.raises(HostError, match=r"its host key is unknown here or has changed"):
        reach(changed)
    assert not (tmp_path / "nobody").exists(), "no key was taken without a person"


@needs_sshd
def test_a_machine_that_cannot_be_reached_or_a_command_that_fails_is_named(account: Board, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = write_config(
            tmp_path / "closed", free.getsockname()[1], identity=account.folder / "user", known_hosts=tmp_path / "none"
        )
        with pytest.raises(
            HostError, match=r"cannot reach 'board': .*refused; try 'ssh -F .* board', and check its address"
        ):
            Connection(Account("board"), closed, Progress()).run(["true"], purpose="speak")
    reached = Connection(Account("board"), account.config, Progress())
    with pytest.raises(HostError, match=r"'board' could not fly: ended with exit code 7: no wings"):
        reached.run(["sh", "-c", "echo no wings >&2; exit 7"], purpose="fly")
    with pytest.raises(HostError, match=r"no ssh configuration"):
        Connection(Account("board"), tmp_path / "nothing", Progress())


@needs_sshd
def test_what_a_shell_prints_by_itself_is_no_answer_and_an_end_is_told_from_a_loss(
    account: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.0)
    reached = Connection(Account("board"), account.config, Progress())
    (account.home / ".bashrc").write_text("echo Welcome; echo to the board >&2\n")
    try:
        assert reached.run(["printf", "%s", "a b"], purpose="speak") == b"a b"
    finally:
        (account.home / ".bashrc").unlink()
    with pytest.raises(HostError, match=r"'board' could not last: was killed \(SIGKILL\), probably for lack of memory"):
        reached.run(["sh", "-c", "kill -9 $$"], purpose="last")
    with pytest.raises(HostError, match=r"'board' could not end: ended with exit code 255: at its own will"):
        reached.run(["sh", "-c", "echo at its own will >&2; exit 255"], purpose="end")
    with pytest.raises(ConnectionLostError, match=r"the connection to 'board' was lost"):
        dropped = Thread(target=lambda: (time.sleep(1), account.drop_connections()), daemon=True)
        dropped.start()
        reached.run(["sleep", "20"], purpose="sleep")


SHELLS = {
    "exit 1": "it ended with exit code 1: it printed nothing",
    "echo This account is currently not available.; exit 1": "exit code 1: This account is currently not available.",
    "exec /bin/false": "exit code 1: it printed nothing",
    "exec /usr/sbin/nologin": "exit code 1: This account is currently not available.",
    "exec nosuchshell": "exit code 127: .*nosuchshell: not found",
    "exit 0": "exit code 0: it printed nothing",
    "kill -9 $$": "",
}
"""Start-up files that keep a shell from running a command, and the expected error. A killed shell looks like a lost
connection."""


@needs_sshd
@pytest.mark.parametrize("start_up", SHELLS)
def test_a_login_shell_that_runs_no_commands_is_an_error_at_once(account: Board, start_up: str) -> None:
    """Not a lost connection, which would be tried again for minutes; the default patience applies."""
    expected = f"the login shell on 'board' does not run commands: .*{SHELLS[start_up]}; check the account's shell"
    if not SHELLS[start_up]:
        expected = "cannot reach 'board'"
    for before in (False, True):  # also if it worked before
        reached = Connection(Account("board"), account.config, Progress())
        if before:
            reached.run(["true"], purpose="be there")
        (account.home / ".bashrc").write_text(f"{start_up}\n")
        try:
            if before and not SHELLS[start_up]:
                continue
            with pytest.raises(HostError, match=expected) as caught:
                reached.run(["true"], purpose="be there")
        finally:
            (account.home / ".bashrc").unlink()
        assert not isinstance(caught.value, ConnectionLostError)
        assert "\n" not in str(caught.value)


@needs_sshd
def test_a_shell_that_waits_for_a_terminal_is_an_error_soon(account: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SHELL_STARTS", 2.0)
    (account.home / ".bashrc").write_text("sleep 30\n")
    try:
        with pytest.raises(HostError, match=r"the login shell on 'board' did not run a command within 2 s"):
            Connection(Account("board"), account.config, Progress()).run(["true"], purpose="be there")
    finally:
        (account.home / ".bashrc").unlink()
    slow = Connection(Account("board"), account.config, Progress())
    assert slow.run(["sh", "-c", "sleep 3; cat"], purpose="take its time", content=b"sent") == b"sent"


@needs_sshd
def test_a_forced_command_is_an_error_and_a_farewell_is_no_reply(account: Board) -> None:
    forced = account.folder / "forced"
    forced.write_text(f'command="echo backups only" {(account.folder / "user.pub").read_text()}')
    allowed, key = (account.folder / "user.pub"), (account.folder / "user.pub").read_text()
    reached = Connection(Account("board"), account.config, Progress())
    try:
        allowed.write_text(forced.read_text())
        with pytest.raises(HostError, match=r"does not run commands: it ended with exit code 0: backups only; check"):
            reached.run(["true"], purpose="be there")
    finally:
        allowed.write_text(key)
    (account.home / ".bashrc").write_text("trap 'echo; echo {}; echo 7 bye >&2' EXIT\n")
    try:
        assert reached.run(["printf", "%s", "a b"], purpose="speak") == b"a b"
        with pytest.raises(HostError, match=r"'board' could not fly: ended with exit code 7: no wings"):
            reached.run(["sh", "-c", "echo no wings >&2; exit 7"], purpose="fly")
    finally:
        (account.home / ".bashrc").unlink()


@needs_sshd
def test_patience_begins_with_the_loss(account: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 2.5)
    reached = Connection(Account("board"), account.config, Progress())
    reached.run(["true"], purpose="be there")
    marker = account.home / "second"
    Thread(target=lambda: (time.sleep(4), marker.touch(), account.drop_connections()), daemon=True).start()
    script = 'test -e "$1" && echo again || sleep 30'
    assert reached.run(["sh", "-c", script, "sh", marker], purpose="wait") == b"again\n"
    marker.unlink()
