"""Running commands on another machine by the system's OpenSSH, with keys and agent only."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from shutil import which

from tledge.bench.measure.round_launcher import TIMEOUT
from tledge.core.errors import ConnectionLostError, HostError, OptionError
from tledge.core.progress import Progress, Step
from tledge.core.worker import describe_end

OPTIONS = (
    "BatchMode=yes",  # nothing is asked, so no password can be typed
    "PreferredAuthentications=publickey",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=10",  # a board that was unplugged is noticed
    "ServerAliveCountMax=3",
    "ControlMaster=no",  # a shared connection would be lost with another program's
    "ControlPath=none",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "LogLevel=ERROR",
)

MARK = "tledge-begins-here"
"""Stands before what a command prints: a shell's start-up files may print, too."""

WRAPPER = f'printf {MARK}; "$@"; code=$?; printf "\\n{MARK} %d" "$code" >&2; exit "$code"'
"""Runs a command and tells its exit code after all else: ssh's own, 255, could be either's."""

PATIENCE = 300.0
"""Seconds for which a lost connection is tried again."""

LONGEST_PAUSE = 30.0
"""Seconds between two tries, at most."""

FAILED = 255
"""The exit code with which ssh says that it, not the command, failed."""

BLOCK = 1 << 18
"""Bytes that are sent before progress is told."""


@dataclass(frozen=True)
class Account:
    """Where to: ``user@host:port``.

    Attributes:
        destination: as ssh takes it: "pi@raspberrypi.local", or a name of the user's ssh configuration.
        port: None for that of the configuration.
    """

    destination: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Account:
        """Reads ``pi@raspberrypi.local``, ``board``, ``pi@10.0.0.7:2222`` or ``pi@[fe80::1%eth0]:22``.

        Raises:
            OptionError: it has another form.
        """
        match = re.fullmatch(r"(?P<user>[\w.][\w.-]*@)?(?P<host>\[[\w:.%]+\]|[\w.][\w.-]*)(:(?P<port>\d{1,5}))?", text)
        if match is None or int(match["port"] or 22) not in range(1, 65536):
            raise OptionError(f"--on takes ssh:USER@HOST or ssh:USER@HOST:PORT; received 'ssh:{text}'")
        destination = (match["user"] or "") + match["host"].strip("[]")
        return cls(destination, None if match["port"] is None else int(match["port"]))


class Connection:
    """Runs commands on another machine, each over a connection of its own.

    Args:
        account: whose.
        config: a configuration of ssh's; the user's own without it.
        progress: is told of lost connections.
    """

    def __init__(self, account: Account, config: Path | None, progress: Progress) -> None:
        self.host = account.destination
        self._progress = progress
        ssh = which("ssh")
        if ssh is None:
            raise HostError(
                f"reaching '{self.host}' needs OpenSSH's ssh, not installed here: apt-get install openssh-client"
            )
        if config is not None and not config.is_file():
            raise HostError(f"no ssh configuration '{config}'; check --ssh-config")
        where = [
            *(() if config is None else ("-F", str(config))),
            *(() if account.port is None else ("-p", str(account.port))),
        ]
        self._spoken = shlex.join(["ssh", *where, account.destination])
        options = [part for option in OPTIONS for part in ("-o", option)]
        self._command = [ssh, *where, *options, "-T", "--", account.destination]
        self._reached = False

    def run(
        self, command: Sequence[str | PurePath], *, purpose: str, content: Path | bytes = b"", step: Step | None = None
    ) -> bytes:
        """Runs a command there to its end; where the connection is lost, again, so it must bear being run twice.

        Args:
            command: program and arguments.
            purpose: what it is to do, for errors ("copy the photos").
            content: what it reads on standard input.
            step: is told of the bytes that were sent.

        Returns:
            What it printed.

        Raises:
            HostError: the machine cannot be reached at first, or the command failed there; its last words are quoted.
            ConnectionLostError: the connection was lost and did not come back.
        """
        pause, lost_at = 1.0, 0.0
        while True:
            try:
                printed = self._run_once(command, purpose, content, step)
            except ConnectionLostError as error:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() + pause > lost_at + PATIENCE:
                    raise
                self._progress.warn(f"{error}; trying again in {pause:.0f} s")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._reached = True
                return printed

    def _run_once(
        self, command: Sequence[str | PurePath], purpose: str, content: Path | bytes, step: Step | None
    ) -> bytes:
        line = shlex.join(["sh", "-c", WRAPPER, "sh", *map(str, command)])
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [*self._command, line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
            try:
                if isinstance(content, Path):
                    _send(process, content, step)
                    content = b""
                printed, _ = process.communicate(content or None, timeout=TIMEOUT)
            except subprocess.TimeoutExpired as error:
                raise HostError(
                    f"'{self.host}' gave no answer for {TIMEOUT / 3600:.0f} hours: could not {purpose}"
                ) from error
            finally:
                process.kill()  # nothing where it has ended
                process.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        said, marked, code = said.rpartition(f"\n{MARK} ")
        if not marked:  # ssh ended, or was ended, before the command did
            said = code
            if not self._reached and process.returncode == FAILED:
                raise _explain(self.host, self._spoken, said)
            raise ConnectionLostError(f"the connection to '{self.host}' was lost: {_last(said)}")
        if code != "0":
            raise HostError(f"'{self.host}' could not {purpose}: {describe_end(_exit_code(code), said)}")
        return printed.partition(MARK.encode())[2]


def _exit_code(text: str) -> int:
    """As Python has it: a shell adds 128 to the signal that ended a program."""
    code = int(text)
    return 128 - code if 128 < code < 128 + 65 else code


def _send(process: subprocess.Popen[bytes], path: Path, step: Step | None) -> None:
    """Sends a file; where the other side does not take all of it, it has failed, and its exit code says so."""
    if process.stdin is None:
        return
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                process.stdin.write(block)
                if step is not None:
                    step.advance(len(block))
    except BrokenPipeError:
        pass


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["it said nothing"])[-1]


def _explain(host: str, spoken: str, said: str) -> HostError:
    """Why a machine cannot be reached, and what to do.

    Args:
        host: its name.
        spoken: the command by which a person reaches it.
        said: by ssh.
    """
    advice = f"try it by '{spoken}', and check its address and that its ssh server runs"
    lowered = said.lower()
    if "host key verification failed" in lowered or "host identification has changed" in lowered:
        advice = f"its key is not known here, or has changed: compare it by '{spoken}' once, which keeps it"
    elif "permission denied" in lowered:
        advice = (
            f"it takes none of your keys, and tledge asks for no password: '{spoken.replace('ssh', 'ssh-copy-id', 1)}'"
        )
        advice += ", and 'ssh-add' where the key has a passphrase"
    elif "could not resolve" in lowered:
        advice = "no machine has that name on this network; try its IP address"
    return HostError(f"cannot reach '{host}': {_last(said)}; {advice}")
