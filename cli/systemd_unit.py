"""The text of a systemd unit that keeps a ``tledge predict`` running from boot on.

What a value may hold: systemd.syntax(7), systemd.service(5) "Command lines", systemd.unit(5) "Specifiers".
"""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from typer.core import TyperOption
from typer.models import TyperPath

from tledge.core.errors import OptionError

SPARE_MEMORY = 512 * 2**20
"""Bytes beside the model: the libraries, and one photo of 100 megapixels while it is decoded."""

MEMORY_PER_MODEL_BYTE = 4
"""A runtime holds the file, its weights packed anew for the CPU, and activations."""

SHARED_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is written there

HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0077
"""
"""A classifier writes no file but a temporary log. ProtectClock= is not here: it would close all other devices."""

NO_NETWORK = "RestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\n"
NO_DEVICES = "PrivateDevices=yes\n"
VIDEO_GROUP = "SupplementaryGroups=video\n"
NO_INTERNET = "RestrictAddressFamilies=AF_UNIX AF_NETLINK\nIPAddressDeny=any\n"
"""The kernel tells libcamera of devices through netlink."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A command that is to run from boot on.

    Attributes:
        command: the program's absolute path and its arguments.
        paths: absolute paths that it reads; the disks that they are on are mounted first.
        folder: the absolute path of the folder that the command runs in.
        user: whose permissions it has.
        memory: bytes that it may take before it is started anew.
        camera: whether it opens a camera.
        feed: a shell command whose output it reads as its standard input; none if empty.
    """

    command: tuple[str, ...]
    paths: tuple[Path, ...]
    folder: Path
    user: str
    memory: int
    camera: bool = False
    feed: str = ""


def arguments_given(
    context: typer.Context, *, without: Collection[str], paths: Collection[str] = ()
) -> list[str | Path]:
    """The arguments that a command was given, so that none is lost on the way into a unit.

    Args:
        context: the command's.
        without: the parameters that the service does not get, by their Python names.
        paths: parameters that hold paths or globs but are not typed as such; "-" is none.

    Returns:
        Each as the command line takes it; paths as Path.
    """
    found: list[str | Path] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name in without or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            found.append(parameter.opts[0] if value else parameter.secondary_opts[0])
            continue
        is_path = name in paths or isinstance(parameter.type, TyperPath)
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(parameter, TyperOption):
                found.append(parameter.opts[0])
            found.append(Path(str(item)) if is_path and str(item) != "-" else str(item))
    return found


def predict_service(
    arguments: Sequence[str | Path], *, artifact: Path, camera: bool = False, feed: str = ""
) -> Service:
    """The service that runs ``tledge predict`` with these arguments, as the user and in the folder of this process.

    Args:
        arguments: those after ``predict``. A Path is one of a file, a folder or a glob, and is made absolute; a string
            is taken as it is.
        artifact: the model file.
        camera: whether the arguments ask for a camera.
        feed: a shell command that standard input, ``-``, is read from.

    Raises:
        OptionError: the program is not installed here, the artifact is absent, or standard input has no feed.
    """
    if not artifact.is_file():
        raise OptionError(f"no artifact '{artifact}' to make a service of; copy it here first")
    if ("-" in arguments) is not bool(feed):
        raise OptionError(
            "a service has no standard input: name what feeds '-', as in --feed 'rpicam-vid --codec mjpeg -o -'"
            if not feed
            else f"nothing reads what --feed '{feed}' gives; use it with the source '-'"
        )
    made = [item.absolute() if isinstance(item, Path) else item for item in arguments]
    memory = SPARE_MEMORY + MEMORY_PER_MODEL_BYTE * artifact.stat().st_size
    return Service(
        command=(str(_program()), "predict", *map(str, made)),
        paths=tuple(item for item in made if isinstance(item, Path)),
        folder=Path.cwd(),
        user=_user(),
        memory=memory,
        camera=camera,
        feed=feed,
    )


def unit_text(service: Service) -> str:
    """The unit, to be written to ``/etc/systemd/system/tledge.service``.

    ``Restart=on-failure``: a camera that vanished, or a process killed for its memory, is tried again for ever, wrong
    usage is not. A feed that ends is no failure, but is begun again, too.

    Raises:
        OptionError: a name that a unit cannot hold.
    """
    command = service.command
    if service.feed:
        command = ("/bin/sh", "-c", f"{service.feed} | exec {shlex.join(command)}")
    shown = service.paths[0].name if service.paths else "a model"
    if service.feed:  # what it opens, and whether it is on the network, only its author knows
        access = VIDEO_GROUP
    elif service.camera:
        # Which devices it opens beside a video one is libcamera's affair, and differs by board: the group is the limit.
        access = VIDEO_GROUP + NO_INTERNET
    else:
        access = NO_DEVICES + NO_NETWORK
    shared = any(
        path.is_relative_to(folder) for path in (service.folder, *service.paths) for folder in SHARED_TEMPORARY
    )
    mounts = f"RequiresMountsFor={' '.join(_quoted(str(path)) for path in service.paths)}\n" if service.paths else ""
    return (
        "# Made by tledge predict --systemd. Changes: sudo systemctl edit tledge\n"
        "[Unit]\n"
        f"Description=tledge: {_whole(shown)}\n"
        f"{mounts}"
        "After=local-fs.target\n"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        "Type=exec\n"
        f"ExecStart={_command_line(command)}\n"
        f"WorkingDirectory={_whole(str(service.folder))}\n"
        f"User={_whole(service.user)}\n"
        "Environment=PYTHONUNBUFFERED=1\n"
        "StandardInput=null\n"
        "StandardOutput=journal\n"
        "StandardError=journal\n"
        "SyslogIdentifier=tledge\n"
        f"Restart={'always' if service.feed else 'on-failure'}\n"
        "RestartSec=10\n"
        "RestartPreventExitStatus=2\n"
        "KillSignal=SIGTERM\n"
        "TimeoutStopSec=30\n"
        f"MemoryMax={service.memory}\n"
        "OOMScoreAdjust=500\n"
        f"PrivateTmp={'no' if shared else 'yes'}\n"
        f"{access}{HARDENING}"
        "\n[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def _command_line(command: Sequence[str]) -> str:
    # With the colon no $NAME is replaced by a variable. It belongs inside the quotes, if there are any.
    program, *arguments = command
    if re.search(r"[\"'\\]", program):
        raise OptionError(f"systemd starts no program with a quote or backslash in its path: {program}; move it")
    return " ".join(map(_quoted, (f":{program}", *arguments)))


def _quoted(argument: str) -> str:
    """One word of a value that is split into words: in quotes where it must be, each % doubled."""
    if re.fullmatch(r"[\w@+=:,./-]+", argument, re.ASCII):
        return argument
    _check(argument)
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _whole(value: str) -> str:
    """A value that is taken as it is, each % doubled."""
    _check(value)
    if value.endswith("\\") or value != value.strip():
        raise OptionError(f"a systemd unit cannot hold the name {value!r}: its ends would be lost; rename it")
    return value.replace("%", "%%")


def _check(value: str) -> None:
    # Python gives surrogates for the bytes of a file's name that are not UTF-8.
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", value):
        raise OptionError(f"a systemd unit cannot hold the name {value!r}: it is not printable UTF-8; rename it")


def _program() -> Path:
    """The installed program: the one that runs, or that of this Python."""
    candidates = [Path(sys.argv[0]).absolute(), Path(sysconfig.get_path("scripts")) / "tledge"]
    for candidate in candidates:
        if candidate.name == "tledge" and candidate.is_file():
            return candidate
    raise OptionError(f"no program 'tledge' at {candidates[-1]}; install tledge into a virtual environment with pip")


def _user() -> str:
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return str(os.getuid())
