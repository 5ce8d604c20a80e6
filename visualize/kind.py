"""What a kind of picture is: the base of every module in ``visualize/kinds``."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from tledge.core.progress import Progress
from tledge.core.registry import Registry
from tledge.visualize.section import Section
from tledge.visualize.visualized_model import VisualizedModel


class Kind(ABC):
    """A way to look at a network; subclasses are frozen dataclasses of its options.

    Attributes:
        title: what the page calls it.
        reference: the papers that say how it is done; empty where nothing needs one.
    """

    title: ClassVar[str]
    reference: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The name of its module."""
        return type(self).__module__.rpartition(".")[2]

    @classmethod
    def options(cls) -> frozenset[str]:
        """The names of its options."""
        return frozenset(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]

    def with_options(self, given: Mapping[str, Any]) -> Self:
        """The same with those of some options that are its own."""
        own = {name: value for name, value in given.items() if name in self.options()}
        changed: Self = dataclasses.replace(self, **own)  # type: ignore[type-var]
        return changed

    def why_not(self, subject: VisualizedModel) -> str:
        """What a subject lacks for this kind to be shown, and how to give it; empty where nothing."""
        return ""

    @abstractmethod
    def show(self, subject: VisualizedModel, progress: Progress) -> Section:
        """Looks.

        Raises:
            TledgeError: an option that this subject cannot take.
        """


KINDS = Registry[Kind](package="tledge.visualize.kinds", kind="kind", attribute="KIND", base=Kind)
"""Each module of ``visualize/kinds``, with a kind of the options that are usual."""
