"""The orders of a leaderboard's rows."""

from __future__ import annotations

from collections.abc import Sequence

from tledge.bench.leaderboard.compare_options import MODEL, ORDERS, STANDING
from tledge.bench.leaderboard.machine_board import Entry
from tledge.bench.results.shipping_criteria import p90_bound
from tledge.core.metric_catalogue import HIGHER, METRICS


def in_order(entries: Sequence[Entry], order: str) -> list[Entry]:
    """Returns entries in one of ``ORDERS``; those without the number come last.

    By standing, what is significant comes first: the standing, then the accuracy. Rows of the same marks are in the
    order of the upper bound of p90, which the recommendation compares; those without one come last.
    """
    if order == STANDING:
        return sorted(entries, key=lambda item: (item.standing_order, _bound(item), *_name(item)))
    if order == MODEL:
        return sorted(entries, key=_name)
    metric = ORDERS[order]
    sign = -1.0 if METRICS[metric].better == HIGHER else 1.0
    return sorted(
        entries,
        key=lambda item: (item.row.value(metric) is None, sign * (item.row.value(metric) or 0.0), *_name(item)),
    )


def _bound(entry: Entry) -> float:
    bound = p90_bound(entry.row)
    return float("inf") if bound is None else bound


def _name(entry: Entry) -> tuple[str, str, str]:
    return entry.label, entry.artifact, entry.row.target
