"""The exceptions that a user can cause.

    TledgeError
    ├── UnknownNameError      a name that no registry holds (the nearest is suggested)
    ├── OptionError           a value that an option cannot take
    ├── MissingExtraError     a library that is not installed (the extra is named)
    ├── DataError             a folder of photos that cannot be trained on
    │   └── ImageError        one file that is no readable image
    ├── SourceError           a camera, a folder or a stream that gives no images
    ├── TrainingError         a training that cannot go on
    ├── WeightsError          pretrained weights that cannot be had or do not fit
    ├── ModelError            a Keras file that cannot be taken
    ├── RunError              a run directory that is absent or unfinished
    ├── ArtifactError         a model file or sidecar that cannot be trusted
    ├── ConversionError       a model that a format or recipe cannot take
    ├── TargetError           a runtime, device or thread count that is not there
    ├── HostError             another machine that cannot be reached or used
    │   └── ConnectionLostError   one that was reached, and is not any more
    └── MeasurementError      a cell or results file that failed

Every message says what was wrong, what was received and what to do. The command line prints it as one
line and exits with 1; anything that is not a TledgeError is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST_NAMES = 12
"""Known names that an error lists."""


class TledgeError(Exception):
    """Base of every error that a user can cause and mend."""


class UnknownNameError(TledgeError):
    """A name that is not among the known ones.

    Args:
        kind: what the name was meant for, as users call it ("backbone").
        received: the name as typed.
        known: every name that would have been right.
    """

    def __init__(self, kind: str, received: str, known: Iterable[str]) -> None:
        import difflib  # takes a millisecond, which no device that works needs to spend

        names = list(known)
        nearest = difflib.get_close_matches(received, names, n=1, cutoff=0.5)
        suggestion = f" Did you mean '{nearest[0]}'?" if nearest else ""
        plural = kind[:-1] + "ies" if kind.endswith("y") else kind + ("es" if kind.endswith("s") else "s")
        shown = ", ".join(names[:MOST_NAMES]) + (f", … ({len(names)} in all)" if len(names) > MOST_NAMES else "")
        super().__init__(f"unknown {kind} '{received}'.{suggestion} {plural.capitalize()}: {shown}")


class OptionError(TledgeError):
    """A value that an option cannot take."""


class MissingExtraError(TledgeError):
    """A library that the base install does not bring.

    Args:
        libraries: the missing distributions.
        extra: the extra of tledge that brings them.
        purpose: what they are needed for.
    """

    def __init__(self, libraries: Iterable[str], extra: str, purpose: str) -> None:
        names = " and ".join(libraries)
        super().__init__(f"{purpose} needs {names}, not installed here: pip install 'tledge[{extra}]'")


class DataError(TledgeError):
    """Photos that cannot be trained on."""


class ImageError(DataError):
    """One file that is no readable image."""


class SourceError(TledgeError):
    """A camera, a folder or a stream that gives no images to classify, or no more."""


class TrainingError(TledgeError):
    """A training that cannot go on."""


class WeightsError(TledgeError):
    """Pretrained weights that cannot be had or do not fit the backbone."""


class ModelError(TledgeError):
    """A Keras file that is none, that could run anything, or that is no image classifier."""


class RunError(TledgeError):
    """A run directory that is absent or unfinished."""


class ArtifactError(TledgeError):
    """A model file or sidecar that cannot be trusted."""


class ConversionError(TledgeError):
    """A model that a format or a recipe cannot take."""


class TargetError(TledgeError):
    """A runtime, device or thread count that this machine does not have."""


class HostError(TledgeError):
    """Another machine that cannot be reached, or cannot do what it is asked for."""


class ConnectionLostError(HostError):
    """The connection to another machine broke, and did not come back."""


class MeasurementError(TledgeError):
    """A benchmark cell that failed, or a results file that cannot be read."""
