"""The base class of every kind of picture in ``visualize/kinds``."""

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
    """One kind of picture; subclasses are frozen dataclasses of its options.

    Attributes:
        title: heading on the page.
        order: place in the story that the page tells, from the features to the map; later for unlisted kinds.
        reference: papers that describe the method; may be empty.
    """

    title: ClassVar[str]
    order: ClassVar[int] = 99
    reference: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """Name of the module, which is what users type."""
        return type(self).__module__.rpartition(".")[2]

    @classmethod
    def options(cls) -> frozenset[str]:
        """Returns the names of the options."""
        return frozenset(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]

    def with_options(self, given: Mapping[str, Any]) -> Self:
        """Returns a copy with the given options that this kind has; others are ignored."""
        own = {name: value for name, value in given.items() if name in self.options()}
        return dataclasses.replace(self, **own)  # type: ignore[type-var]

    def why_not(self, network: VisualizedModel) -> str:
        """Returns what the network lacks for this kind and how to provide it; empty if nothing."""
        return ""

    @abstractmethod
    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        """Makes the section of this kind. Raises TledgeError if an option does not fit this network."""


KINDS = Registry[Kind](package="tledge.visualize.kinds", kind="kind", attribute="KIND", base=Kind)
"""Each module of ``visualize/kinds``, with default options."""
