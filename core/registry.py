"""Registries: packages with one module per entry, whose key is the module's name.

Listing the names imports no module, and loading an entry imports only its own. A new entry is one new file.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from tledge.core.errors import UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The modules of a package, each of which defines one entry.

    Attributes:
        package: the package whose modules are the entries ("tledge.train.backbones").
        kind: the user's word for an entry ("backbone").
        attribute: the attribute of each module that is its entry ("BACKBONE").
        base: the class of all entries.
    """

    package: str
    kind: str
    attribute: str
    base: type

    def names(self) -> tuple[str, ...]:
        """Returns all names, sorted."""
        spec = importlib.util.find_spec(self.package)
        locations = spec.submodule_search_locations if spec is not None else None
        return tuple(sorted(module.name for module in pkgutil.iter_modules(locations)))

    def load(self, name: str) -> T:
        """Returns the entry of that name; imports only its module.

        Raises:
            UnknownNameError: no module has that name.
            TypeError: the module's entry is not an instance of ``base``.
        """
        if name not in self.names():
            raise UnknownNameError(self.kind, name, self.names())
        entry: Any = getattr(importlib.import_module(f"{self.package}.{name}"), self.attribute, None)
        if not issubclass(type(entry), self.base):
            raise TypeError(
                f"{self.package}.{name}.{self.attribute} must be a {self.base.__name__}; received {entry!r}"
            )
        return cast(T, entry)
