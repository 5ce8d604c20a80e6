"""Damaged copies of JSON records: wrong values in their fields, and wrong bytes in their files."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

DEEP = 10_000
"""Levels of the deeply nested values; Python's own limit is 1,000."""

HUGE = "9" * 5000
"""A whole number that Python refuses to read by default."""

_MARK = "\ue000mark\ue000"

_TEXTS: tuple[str, ...] = (
    '"x"',
    '""',
    "0",
    "-1",
    "1.5",
    "true",
    "null",
    "[]",
    "{}",
    "[[]]",
    "1e400",
    "NaN",
    "Infinity",
    "-Infinity",
    "1" + 40 * "0",
    str(2**63),
    HUGE,
    json.dumps("a" * 200_000),
    json.dumps("a\nb\x1b[2Jc\r\u202ed"),
    r'"a\u0000b"',
    r'"\ud800"',
    '"../../../etc/passwd"',
    '"/etc/passwd"',
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "[1, [2, {}], null]",
)
"""JSON that takes the place of a field's value."""


@dataclass(frozen=True)
class Mutation:
    """A damaged record.

    Attributes:
        kind: what was done to it.
        field: the outermost field that was changed, or the one that is there twice; empty if several
            were, or bytes.
        content: the file's new content.
    """

    kind: str
    field: str
    content: bytes


def mutations(content: bytes, count: int, seed: int) -> Iterator[Mutation]:
    """Yields damaged copies of a JSON file: four of five have a wrong field, the others wrong bytes."""
    rng = np.random.default_rng(seed)
    record = json.loads(content)
    for number in range(count):
        yield _mutate_bytes(content, rng) if number % 5 == 4 else _mutate_field(record, rng)


def _mutate_field(record: Any, rng: np.random.Generator) -> Mutation:
    changed = copy.deepcopy(record)
    parent, key, field = _choose(changed, rng)
    kind = ("value", "value", "value", "value", "missing", "swapped", "duplicate", "wrapped", "unknown")[
        rng.integers(9)
    ]
    text = _TEXTS[rng.integers(len(_TEXTS))]
    if kind == "missing":
        del parent[key]
    elif kind == "swapped":
        other, other_key, _ = _choose(changed, rng)
        field = ""
        parent[key], other[other_key] = copy.deepcopy(other[other_key]), copy.deepcopy(parent[key])
    elif kind == "wrapped":
        parent[key] = [parent[key]]
    elif kind == "unknown" and isinstance(parent, dict):
        parent[f"new{rng.integers(99)}"] = _MARK
    else:
        parent[key] = _MARK
    written = json.dumps(changed)
    if kind == "duplicate" and isinstance(parent, dict):
        name, field = json.dumps(key), key
        written = written.replace(f"{name}: {json.dumps(_MARK)}", f"{name}: 1, {name}: {text}", 1)
    return Mutation(f"{kind} {text[:20]}", field, written.replace(json.dumps(_MARK), text).encode())


def _choose(record: Any, rng: np.random.Generator) -> tuple[Any, Any, str]:
    """Returns a container, a key of it, and the outermost field that it belongs to; often a field near the top."""
    parent, field = record, ""
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = keys[rng.integers(len(keys))]
        field = field or (key if isinstance(key, str) else "")
        if not (isinstance(parent[key], dict | list) and len(parent[key])) or rng.random() < 0.3:
            return parent, key, field
        parent = parent[key]


def _mutate_bytes(content: bytes, rng: np.random.Generator) -> Mutation:
    place = int(rng.integers(len(content)))
    kind = ("cut", "flips", "bom", "nul", "empty", "utf-16", "latin", "twice", "noise")[rng.integers(9)]
    changed = bytearray(content)
    if kind == "flips":
        for flipped in rng.integers(0, len(content), 4):
            changed[flipped] ^= 1 << rng.integers(8)
    else:
        changed = bytearray(
            {
                "cut": content[:place],
                "bom": b"\xef\xbb\xbf" + content,
                "nul": content[:place] + b"\0" + content[place:],
                "empty": b"",
                "utf-16": content.decode().encode("utf-16"),
                "latin": content[:place] + b"\xe9" + content[place:],
                "twice": content * 2,
                "noise": rng.bytes(len(content)),
            }[kind]
        )
    return Mutation(kind, "", bytes(changed))
