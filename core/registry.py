"""A folder with one module per kind of thing: the key is the module's name.

Listing the names imports none of them; loading one imports that one. A new kind is one new file.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tledge.core.errors import UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The modules of one package, each holding one object under the same attribute.

    Attributes:
        package: the package whose modules are the entries ("tledge.train.backbones").
        kind: what users call an entry ("backbone").
        attribute: the name under which each module holds its entry ("BACKBONE").
        base: the class that every entry is an instance of.
    """

    package: str
    kind: str
    attribute: str
    base: type

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted."""
        spec = importlib.util.find_spec(self.package)
        locations = spec.submodule_search_locations if spec is not None else None
        return tuple(sorted(module.name for module in pkgutil.iter_modules(locations)))

    def load(self, name: str) -> T:
        """The entry of that name; imports its module and no other.

        Raises:
            UnknownNameError: no module has that name.
            TypeError: the module does not hold an entry of the registry's type.
        """
        if name not in self.names():
            raise UnknownNameError(self.kind, name, self.names())
        entry: Any = getattr(importlib.import_module(f"{self.package}.{name}"), self.attribute, None)
        if not issubclass(type(entry), self.base):
            raise TypeError(
                f"{self.package}.{name}.{self.attribute} must be a {self.base.__name__}; received {entry!r}"
            )
        loaded: T = entry
        return loaded
