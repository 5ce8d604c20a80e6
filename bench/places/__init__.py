"""Where a benchmark runs: this machine, another one over ssh, or an emulated board."""

from tledge.bench.places.place import Place, PlaceKind, ThisMachine, find_place

__all__ = ["Place", "PlaceKind", "ThisMachine", "find_place"]
