"""The orders of a leaderboard's rows."""

from __future__ import annotations

from collections.abc import Sequence

from tledge.bench.leaderboard.compare_options import MODEL, ORDERS, STANDING
from tledge.bench.leaderboard.machine_board import STANDINGS, Entry
from tledge.core.metric_catalogue import HIGHER, METRICS


def in_order(entries: Sequence[Entry], order: str) -> list[Entry]:
    """Returns entries in one of ``ORDERS``; those without the number come last.

    By standing, only what is significant decides, and then the size, which is exact.
    """
    if order == STANDING:
        return sorted(entries, key=lambda item: (STANDINGS.index(item.standing), _size(item), *_name(item)))
    if order == MODEL:
        return sorted(entries, key=_name)
    metric = ORDERS[order]
    sign = -1.0 if METRICS[metric].better == HIGHER else 1.0
    return sorted(
        entries,
        key=lambda item: (item.row.value(metric) is None, sign * (item.row.value(metric) or 0.0), *_name(item)),
    )


def _size(entry: Entry) -> float:
    return entry.row.value("file_size") or float("inf")


def _name(entry: Entry) -> tuple[str, str, str]:
    return entry.label, entry.artifact, entry.row.target
