"""The text of a systemd unit that runs ``tledge predict`` from boot on.

The syntax of values: systemd.syntax(7), systemd.service(5) "Command lines", systemd.unit(5) "Specifiers".
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from typer.core import TyperOption
from typer.models import TyperPath

from tledge.cli.command_builder import is_given
from tledge.core.errors import OptionError
from tledge.core.model_files import size_of_model
from tledge.edge_runtime.sources.standard_input import STANDARD_INPUT

SPARE_MEMORY = 512 * 2**20
"""Bytes besides the model: the libraries, and the largest photo while it is decoded (``core.images.LARGEST``)."""

MEMORY_PER_MODEL_BYTE = 4
"""A runtime holds the file, a copy of the weights packed for the CPU, and activations."""

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
"""A classifier writes only a temporary log. ProtectClock= is left out: it would block all other devices."""

PIPE = 'feed=$1; shift; /bin/sh -c "$feed" | exec "$@"'
"""A shell command that pipes a feed into a command. Both are arguments, so nothing in a feed (a comment, ``;``, ``&&``)
can reach beyond it."""

NO_NETWORK = "RestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\n"
NO_DEVICES = "PrivateDevices=yes\n"
VIDEO_GROUP = "SupplementaryGroups=video\n"
NO_INTERNET = "RestrictAddressFamilies=AF_UNIX AF_NETLINK\nIPAddressDeny=any\n"
"""libcamera learns of devices through netlink."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A command that runs from boot on.

    Attributes:
        command: the program's absolute path and its arguments.
        paths: absolute paths that it reads; their disks are mounted first.
        folder: the absolute path of its working directory.
        user: whom it runs as.
        memory: bytes that it may use before it is restarted.
        camera: whether it opens a camera.
        feed: a shell command whose output it reads as its standard input; none if empty.
        search_path: the folders in which the feed's programs are found, as in ``PATH``.
    """

    command: tuple[str, ...]
    paths: tuple[Path, ...]
    folder: Path
    user: str
    memory: int
    camera: bool = False
    feed: str = ""
    search_path: str = ""


def arguments_given(
    context: typer.Context, *, without: Collection[str], paths: Collection[str] = ()
) -> list[str | Path]:
    """Returns the arguments that a command was given, so that the unit contains all of them.

    Args:
        context: the command's.
        without: parameters to leave out, by their Python names.
        paths: parameters that hold paths or globs but are not typed as such; "-" is not a path.

    Returns:
        The arguments in the form of the command line; paths as Path.
    """
    found: list[str | Path] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in without or not is_given(context, name):
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


def check_feed(sources: Sequence[str], feed: str | None) -> None:
    """Raises OptionError unless standard input is read and fed, or neither; ``feed`` is None if it was not given."""
    if STANDARD_INPUT in sources and not (feed or "").strip():
        raise OptionError(
            "a service has no standard input: name a command for '-', as in --feed 'rpicam-vid --codec mjpeg -o -'"
        )
    if STANDARD_INPUT not in sources and feed is not None:
        raise OptionError(f"nothing reads the output of --feed '{feed}'; use it with the source '-'")


def predict_service(
    arguments: Sequence[str | Path], *, artifact: Path, camera: bool = False, feed: str = ""
) -> Service:
    """Returns the service that runs ``tledge predict`` as the user and in the working directory of this process.

    Args:
        arguments: those after ``predict``. A Path names a file, a folder or a glob, and is made absolute; a string
            stays as it is.
        artifact: the model file.
        camera: whether the arguments ask for a camera.
        feed: a shell command whose output is read as standard input, ``-``. It finds its programs as in this process.

    Raises:
        OptionError: the program is not installed here.
        OSError: the artifact is absent.
    """
    made = [item.absolute() if isinstance(item, Path) else item for item in arguments]
    memory = SPARE_MEMORY + MEMORY_PER_MODEL_BYTE * size_of_model(artifact)
    return Service(
        command=(str(_program()), "predict", *map(str, made)),
        paths=tuple(item for item in made if isinstance(item, Path)),
        folder=Path.cwd(),
        user=_user(),
        memory=memory,
        camera=camera,
        feed=feed,
        search_path=os.environ.get("PATH", os.defpath) if feed else "",
    )


def unit_text(service: Service) -> str:
    """Returns the unit, to be written to ``/etc/systemd/system/tledge.service``.

    ``Restart=on-failure``: after a lost camera or a kill for its memory, the service restarts for ever; after wrong
    usage it does not. A feed that ends is not a failure, but is restarted as well.

    Raises:
        OptionError: a name that a unit cannot contain.
    """
    command = service.command
    if service.feed:
        command = ("/bin/sh", "-c", PIPE, "tledge", service.feed, *command)
    shown = service.paths[0].name if service.paths else "a model"
    variables = ["PYTHONUNBUFFERED=1", *([f"PATH={service.search_path}"] if service.search_path else [])]
    if service.feed:  # what a feed opens, and whether it needs the network, is unknown
        access = VIDEO_GROUP
    elif service.camera:
        # Which other devices libcamera opens differs by board: the group is the limit.
        access = VIDEO_GROUP + NO_INTERNET
    else:
        access = NO_DEVICES + NO_NETWORK
    shared = any(
        path.is_relative_to(folder) for path in (service.folder, *service.paths) for folder in SHARED_TEMPORARY
    )
    mounted = " ".join(_quoted(os.path.normpath(path)) for path in service.paths)  # systemd ignores one with ".."
    mounts = f"RequiresMountsFor={mounted}\n" if mounted else ""
    return (
        "# Created by tledge predict --systemd. To change it: sudo systemctl edit tledge\n"
        "[Unit]\n"
        f"Description=tledge: {_described(shown)}\n"
        f"{mounts}"
        "After=local-fs.target\n"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        "Type=exec\n"
        f"ExecStart={_command_line(command, service.feed)}\n"
        f"WorkingDirectory={_whole(str(service.folder))}\n"
        f"User={_whole(service.user)}\n"
        f"Environment={' '.join(map(_quoted, variables))}\n"
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


def _command_line(command: Sequence[str], feed: str) -> str:
    # The colon keeps $NAME from being replaced by a variable; it belongs inside the quotes.
    program, *arguments = command
    if re.search(r"[\"'\\]", program):
        raise OptionError(f"systemd cannot start a program with a quote or backslash in its path: {program}; move it")
    words = (_quoted(word, allowed="\n\t" if word == feed else "") for word in arguments)
    return " ".join((_quoted(f":{program}"), *words))


def _quoted(argument: str, allowed: str = "") -> str:
    """Returns one word of a value that is split into words: in quotes if necessary, each % doubled.

    Args:
        argument: the word.
        allowed: control characters that it may contain, of line feeds and tabs.
    """
    if re.fullmatch(r"[\w@+=:,./-]+", argument, re.ASCII):
        return argument
    _check(argument, allowed)
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _whole(value: str) -> str:
    """Returns a value that is not split into words, each % doubled."""
    _check(value)
    if value.endswith("\\") or value != value.strip():
        raise OptionError(f"a systemd unit cannot contain the name {value!r}: systemd would strip its ends; rename it")
    return value.replace("%", "%%")


def _described(name: str) -> str:
    """Returns a name as a description shows it, without what systemd would strip or continue on the next line."""
    return "".join(item if item.isprintable() else " " for item in name).replace("%", "%%").rstrip("\\ ").lstrip()


def _check(value: str, allowed: str = "") -> None:
    # Python uses surrogates for bytes of a file name that are not UTF-8; an editor may end a line at some separators.
    for item in value:
        if unicodedata.category(item) in ("Cc", "Cs", "Zl", "Zp") and item not in allowed:
            raise OptionError(
                f"a systemd unit cannot contain the text {value!r}: it has control characters or is not UTF-8; rename"
                " it or leave it out"
            )


def _program() -> Path:
    """Returns the installed program: the running one, or that of this Python."""
    candidates = [Path(sys.argv[0]).absolute(), Path(sysconfig.get_path("scripts")) / "tledge"]
    for candidate in candidates:
        if candidate.name == "tledge" and candidate.is_file():
            return candidate
    raise OptionError(f"no program 'tledge' at {candidates[-1]}; install tledge into a virtual environment with pip")


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return str(os.getuid())
