"""Running commands on another machine through the system's OpenSSH, with keys and agent only."""

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
from tledge.core.parent_death import tied
from tledge.core.progress import Progress, Step
from tledge.core.worker import describe_end

OPTIONS = (
    "BatchMode=yes",  # no prompts, so no passwords
    "PreferredAuthentications=publickey",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=10",  # detects a board that was unplugged
    "ServerAliveCountMax=3",
    "ControlMaster=no",  # a shared connection would end with the program that owns it
    "ControlPath=none",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "LogLevel=ERROR",
)

MARK, END = "tledge-begins-here", "tledge-ends-here"
"""Printed before and after a command's output, since a shell may print, too: its start-up files, a farewell."""

WRAPPER = f'printf {MARK}; "$@"; code=$?; printf {END}; printf "\\n{MARK} %d {END}" "$code" >&2; exit "$code"'
"""Runs a command and prints its exit code last: ssh's own exit code 255 could also be the command's."""

_CODE = re.compile(rf"\n{MARK} (\d+) {END}")
"""A command's exit code, as ``WRAPPER`` prints it."""

SHELL_STARTS = 60.0
"""Seconds within which the login shell must start the first command; one that waits for a terminal never does."""

PATIENCE = 300.0
"""Seconds for which a lost connection is retried."""

LONGEST_PAUSE = 30.0
"""The longest pause between two attempts, in seconds."""

FAILED = 255
"""The exit code of ssh when ssh itself failed."""

BLOCK = 1 << 18
"""Bytes that are sent between two reports of progress."""


@dataclass(frozen=True)
class Account:
    """An account on another machine: ``user@host:port``.

    Attributes:
        destination: ssh's argument: "pi@raspberrypi.local", or a host of the user's ssh configuration.
        port: None for the port of the configuration.
    """

    destination: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Account:
        """Reads ``pi@raspberrypi.local``, ``board``, ``pi@10.0.0.7:2222`` or ``pi@[fe80::1%eth0]:22``.

        Raises:
            OptionError: the text has another form.
        """
        match = re.fullmatch(r"(?P<user>[\w.][\w.-]*@)?(?P<host>\[[\w:.%]+\]|[\w.][\w.-]*)(:(?P<port>\d{1,5}))?", text)
        if match is None or int(match["port"] or 22) not in range(1, 65536):
            raise OptionError(f"`on` must look like 'ssh:USER@HOST' or 'ssh:USER@HOST:PORT'; received 'ssh:{text}'")
        destination = (match["user"] or "") + match["host"].strip("[]")
        return cls(destination, None if match["port"] is None else int(match["port"]))


class Connection:
    """Runs commands on another machine, each over its own connection.

    Args:
        account: the account to connect to.
        config: an ssh configuration file; by default the user's own.
        progress: reports lost connections.

    Raises:
        HostError: ssh is not installed, or the configuration file does not exist.
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
            raise HostError(f"no ssh configuration '{config}'; check `ssh_config`")
        where = [] if config is None else ["-F", str(config)]
        where += [] if account.port is None else ["-p", str(account.port)]
        self._shown = shlex.join(["ssh", *where, account.destination])
        options = [part for option in OPTIONS for part in ("-o", option)]
        self._command = [ssh, *where, *options, "-T", "--", account.destination]
        self._reached = False

    def run(
        self, command: Sequence[str | PurePath], *, purpose: str, content: Path | bytes = b"", step: Step | None = None
    ) -> bytes:
        """Runs a command there to its end, and again if the connection is lost; it must be safe to run twice.

        Args:
            command: program and arguments.
            purpose: what it does, for error messages ("copy the photos").
            content: its standard input.
            step: reports the bytes that were sent.

        Returns:
            Its standard output.

        Raises:
            HostError: the first connection failed, the login shell did not run the command, or the command failed
                there; the last line it printed is quoted.
            ConnectionLostError: the connection was lost and did not come back within ``PATIENCE``.
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
                tied([*self._command, line]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
            try:
                if isinstance(content, Path):
                    _send(process, content, step)
                    content = b""
                printed = self._communicate(process, content)
            except subprocess.TimeoutExpired as error:
                raise HostError(
                    f"'{self.host}' did not respond within {TIMEOUT / 3600:.0f} hours: could not {purpose}"
                ) from error
            finally:
                process.kill()  # does nothing if it has ended
                process.wait()
            errors.seek(0)
            printed_errors = errors.read().decode(errors="replace")
        found = list(_CODE.finditer(printed_errors))
        if not found:
            raise self._ended_early(process.returncode, printed, printed_errors)
        code, printed_errors = found[-1][1], printed_errors[: found[-1].start()]
        if code != "0":
            raise HostError(f"'{self.host}' could not {purpose}: {describe_end(_exit_code(code), printed_errors)}")
        return printed.partition(MARK.encode())[2].rpartition(END.encode())[0]

    def _communicate(self, process: subprocess.Popen[bytes], content: bytes) -> bytes:
        """Sends ``content`` and returns the standard output. Raises HostError if the shell does not start a command."""
        limit = TIMEOUT if self._reached else SHELL_STARTS
        try:
            return process.communicate(content or None, timeout=limit)[0]
        except subprocess.TimeoutExpired as error:
            if self._reached:
                raise
            if MARK.encode() not in (error.output or b""):
                raise HostError(
                    f"the login shell on '{self.host}' did not run a command within {SHELL_STARTS:.0f} s: its start-up"
                    f" files may wait for a terminal; '{self._shown} true' must succeed"
                ) from error
        return process.communicate(timeout=TIMEOUT)[0]  # which goes on sending the content

    def _ended_early(self, code: int, printed: bytes, errors: str) -> HostError:
        """Returns the error for a command that did not end: ssh failed, or the login shell did not run it.

        Only ssh itself exits with ``FAILED`` when the connection is lost. Any other code is that of a login shell that
        did not run the command, or that was ended while it ran: a board that is restarted ends both.
        """
        if code == FAILED and not self._reached:
            return _unreachable(self.host, self._shown, errors)
        if code == FAILED or MARK.encode() in printed:
            return ConnectionLostError(f"the connection to '{self.host}' was lost: {_last_line(errors)}")
        if code < 0:
            return HostError(f"ssh to '{self.host}' {describe_end(code, errors)}")
        said = errors.strip() or printed.decode(errors="replace")
        return HostError(
            f"the login shell on '{self.host}' does not run commands: it {describe_end(_exit_code(str(code)), said)};"
            f" check the account's shell and its start-up files: '{self._shown} true' must succeed"
        )


def _exit_code(text: str) -> int:
    """Converts a shell's exit code to Python's: a shell adds 128 to the signal that ended a program."""
    code = int(text)
    return 128 - code if 128 < code < 128 + 65 else code


def _send(process: subprocess.Popen[bytes], path: Path, step: Step | None) -> None:
    """Sends a file. If the other side stops reading, it has failed, and its exit code tells why."""
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


def _last_line(printed: str) -> str:
    return (printed.strip().splitlines() or ["ssh printed nothing"])[-1]


def _unreachable(host: str, shown: str, printed: str) -> HostError:
    """Returns the error for a machine that cannot be reached, from what ssh printed; ``shown`` is a command to try."""
    advice = f"try '{shown}', and check its address and that its ssh server is running"
    lowered = printed.lower()
    if "host key verification failed" in lowered or "host identification has changed" in lowered:
        advice = f"its host key is unknown here or has changed: run '{shown}' once to check and accept it"
    elif "permission denied" in lowered:
        advice = (
            "it accepts none of your keys, and tledge does not ask for passwords: run"
            f" '{shown.replace('ssh', 'ssh-copy-id', 1)}', and 'ssh-add' if the key has a passphrase"
        )
    elif "could not resolve" in lowered:
        advice = "no machine on this network has that name; try its IP address"
    return HostError(f"cannot reach '{host}': {_last_line(printed)}; {advice}")
