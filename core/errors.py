"""The exceptions that users can cause.

    TledgeError
    ├── UnknownNameError      an unknown name (the nearest known one is suggested)
    ├── OptionError           an invalid value of an option
    ├── MissingExtraError     a library that is not installed (the extra is named)
    ├── DataError             photos that cannot be used for training
    │   └── ImageError        a file that cannot be read as an image
    ├── SourceError           a camera, folder or stream that fails
    ├── TrainingError         a training that cannot continue
    ├── WeightsError          pretrained weights that are unavailable or do not fit
    ├── ModelError            a Keras file that cannot be used
    ├── RunError              a run directory that is absent or unfinished
    ├── ArtifactError         a model file or sidecar that cannot be trusted
    │   └── SidecarMissingError   a model file without a sidecar
    ├── ConversionError       a model that a format or recipe does not support
    ├── TargetError           a runtime, device or thread count that is unavailable
    ├── HostError             another machine that cannot be reached or used
    │   └── ConnectionLostError   the connection to it was lost
    └── MeasurementError      a cell or results file that failed

Every message says what was wrong, what was received and what to do. The command line prints it as one line and exits
with code 2 for an UnknownNameError or OptionError, with code 1 for the others. So these two are for what was typed:
names, numbers and combinations. A file or folder that is absent or cannot be used is one of the others, and so is what
a machine does not have. Any other exception is a bug.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

MOST_NAMES = 12
"""The most known names that an error lists."""


class TledgeError(Exception):
    """The base class of every error that users can cause and fix."""


def did_you_mean(received: str, names: Iterable[str]) -> str:
    """Returns " Did you mean 'NAME'?" for the name that is most alike; empty if none is."""
    import difflib  # takes a millisecond to import, needed for errors only

    nearest = difflib.get_close_matches(received, list(names), n=1, cutoff=0.5)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""


class UnknownNameError(TledgeError):
    """A name that is not known.

    Args:
        kind: what the name stands for, in the user's words ("backbone").
        received: the name that was received.
        known: all valid names.
        hint: what else helps, with the sign before it ("; …").
    """

    def __init__(self, kind: str, received: str, known: Iterable[str], hint: str = "") -> None:
        names = list(known)
        suggestion = did_you_mean(received, names)
        plural = kind[:-1] + "ies" if kind.endswith("y") else kind + ("es" if kind.endswith("s") else "s")
        shown = ", ".join(names[:MOST_NAMES]) + (f", … ({len(names)} in all)" if len(names) > MOST_NAMES else "")
        super().__init__(f"unknown {kind} '{received}'.{suggestion} {plural.capitalize()}: {shown}{hint}")


class OptionError(TledgeError):
    """An invalid value of an option."""


class MissingExtraError(TledgeError):
    """A library that is not part of the base install.

    Args:
        libraries: the missing distributions.
        extra: the extra of tledge that installs them.
        purpose: what needs them, the subject of the message ("training").
    """

    def __init__(self, libraries: Iterable[str], extra: str, purpose: str) -> None:
        names = " and ".join(libraries)
        hint = ""
        if "tensorflow" in names.split() and sys.version_info >= (3, 14):
            hint = f"; on Python {sys.version_info[0]}.{sys.version_info[1]}, that needs TensorFlow 2.22 or later"
        super().__init__(f"{purpose} needs {names}, not installed here: pip install 'tledge[{extra}]'{hint}")


class DataError(TledgeError):
    """Photos that cannot be used for training."""


class ImageError(DataError):
    """A file that cannot be read as an image."""


class SourceError(TledgeError):
    """A camera, folder or stream that gives no images, or stops giving them."""


class TrainingError(TledgeError):
    """A training that cannot continue."""


class WeightsError(TledgeError):
    """Pretrained weights that are unavailable or do not fit the backbone."""


class ModelError(TledgeError):
    """A file that is not a Keras model, could execute code, or is not an image classifier."""


class RunError(TledgeError):
    """A run directory that is absent or unfinished."""


class ArtifactError(TledgeError):
    """A model file or sidecar that cannot be trusted."""


class SidecarMissingError(ArtifactError):
    """A model file without a sidecar: one that was made elsewhere, or is truncated."""


class ConversionError(TledgeError):
    """A model that a format or recipe does not support."""


class TargetError(TledgeError):
    """A runtime, device or thread count that this machine does not have."""


class HostError(TledgeError):
    """Another machine that cannot be reached, or on which a command failed."""


class ConnectionLostError(HostError):
    """The connection to another machine was lost and did not come back."""


class MeasurementError(TledgeError):
    """A benchmark cell that failed, or a results file that cannot be read."""


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or its type if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
