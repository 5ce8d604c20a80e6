"""What a budget did to the recommendation, in sentences for the card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.budget_judgement import (
    MET,
    NO_SAMPLES,
    NOT_MEASURED,
    UNDECIDED,
    WIDE,
    JudgedLimit,
    JudgedRow,
    number_text,
)
from tledge.bench.results.budget_result import BudgetResult, Relaxation
from tledge.bench.results.flags import ONE_ROUND
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import BY_ROUND
from tledge.core.number_text import duration_text, flag_text, listed
from tledge.core.sizes import size_text

MOST_NAMED = 8
"""Files that a sentence names; JSON has all of them."""

Judged = tuple[Row, JudgedLimit]


def budget_status(budget: BudgetResult, shown: Row | None) -> list[str]:
    """Returns whether the file that the card shows meets the budget; without one, the nearest miss."""
    if shown is None:
        nearest = budget.nearest
        return [] if nearest is None else [f"The nearest miss is {nearest.row.name}, which misses {_misses(nearest)}."]
    judged = budget.of(shown)
    met = [item.limit.text for item in judged.limits if item.outcome == MET]
    sentences = [f"It meets {listed(met)}."] if met else []
    if judged.missed:
        sentences.append(f"It misses {_misses(judged)}.")
    return sentences + [_not_shown(item) for item in judged.limits if item.outcome == UNDECIDED]


def budget_effects(budget: BudgetResult, shown: Row | None) -> list[str]:
    """Returns which limit rules out which file, and what relaxing each limit alone would gain."""
    sentences = []
    for limit in budget.limits:
        if found := [item for item in budget.ruled_out(limit) if item[0] is not shown]:
            sentences.append(f"{limit.text} rules out {listed(_names(found, budget), MOST_NAMED)}.")
        sentences += _undecided(limit, [item for item in budget.undecided(limit) if item[0] is not shown], budget)
    sentences += [_gain(item, shown) for item in budget.relaxed if item.row is not None]
    for known in (True, False):
        limits = [item.limit.text for item in budget.relaxed if item.row is None and item.known == known]
        sentences += _useless(limits, shown, known=known)
    return sentences


def _misses(item: JudgedRow) -> str:
    return listed([f"{miss.limit.text} by {_distance(miss)}, with {_value(miss)}" for miss in item.missed])


def _distance(miss: JudgedLimit) -> str:
    """Returns how far a value is from its limit: "4.30 ms (22%)"."""
    distance = abs((miss.value or 0.0) - miss.limit.limit)
    share = f" ({miss.excess:.0%})" if 0.005 <= miss.excess < 100 else ""
    return f"{number_text(miss.limit, distance)} {miss.limit.declared.unit}".rstrip() + share


def _not_shown(item: JudgedLimit) -> str:
    """Says that a limit is not decided for the recommended file."""
    if item.reason == NOT_MEASURED:
        return f"It is not known whether it meets {item.limit.text}, which was not measured."
    if item.reason != WIDE:
        return f"It is not decided whether it meets {item.limit.text}: {_value(item)}, but {_doubt(item.reason)}."
    more = "rounds" if item.limit.declared.metric in BY_ROUND else "photos"
    ends = "–".join(number_text(item.limit, end) for end in item.interval or ())
    return (
        f"It is not decided whether it meets {item.limit.text}: {_value(item)}, 95%: {ends}; more {more} narrow the"
        " interval."
    )


def _undecided(limit: BudgetLimit, found: Sequence[Judged], budget: BudgetResult) -> list[str]:
    """Names the files for which a limit is not decided, a sentence for each reason."""
    reasons = dict.fromkeys(judged.reason for _, judged in found)
    return [
        f"{limit.text} is not decided for"
        f" {listed(_names([item for item in found if item[1].reason == reason], budget), MOST_NAMED)}:"
        f" {'the limit is within the 95% interval' if reason == WIDE else _doubt(reason)}."
        for reason in reasons
    ]


def _doubt(reason: str) -> str:
    if reason == ONE_ROUND:
        return "measured in a single round"
    if reason == NO_SAMPLES:
        return "its raw samples are not there"
    return "it was not measured" if reason == NOT_MEASURED else f"flagged as {flag_text(reason)}"


def _names(found: Sequence[Judged], budget: BudgetResult) -> list[str]:
    """Returns files with their values; a file for which the same holds on all targets is named once."""
    artifacts = [item.row.artifact for item in budget.rows]
    by_file: dict[str, list[Judged]] = {}
    for row, judged in found:
        by_file.setdefault(row.artifact, []).append((row, judged))
    names = []
    for artifact, items in by_file.items():
        if len(items) == artifacts.count(artifact):
            names.append(f"{artifact}{_range(items)}")
        else:
            names += [f"{row.name}{_range([(row, judged)])}" for row, judged in items]
    return names


def _range(items: Sequence[Judged]) -> str:
    """Returns the value, or that of several targets which is nearest to the limit: " (24.3 ms or more)"."""
    known = [judged for _, judged in items if judged.value is not None]
    if not known:
        return ""
    nearest = min(known, key=lambda judged: judged.excess)
    several = any(_value(judged) != _value(nearest) for judged in known)
    more = f" or {'more' if nearest.limit.is_upper else 'less'}" if several else ""
    return f" ({_value(nearest)}{more})"


def _value(item: JudgedLimit) -> str:
    if item.value is None:
        return "no value"
    return f"{number_text(item.limit, item.value)} {item.limit.declared.unit}".rstrip()


def _gain(item: Relaxation, chosen: Row | None) -> str:
    """Says what a relaxed limit would gain: "With p90_ms <= 25, a.onnx on … would be preferred: top-1 0.982 …"."""
    if item.row is None or chosen is None:
        return f"With {item.text}, {'' if item.row is None else item.row.name} would meet the budget."
    gains = listed([_compared(metric, item.row, chosen) for metric in item.gains])
    outcome = "would be preferred" if item.preferred else "would meet the budget, too"
    return f"With {item.text}, {item.row.name} {outcome}{f': {gains}' if gains else ''}."


def _compared(metric: str, row: Row, chosen: Row) -> str:
    """Returns a metric of two rows: "top-1 0.982 instead of 0.964"."""
    name, text = _GAINED[metric]
    return f"{name}{text(row.value(metric) or 0.0)} instead of {text(chosen.value(metric) or 0.0)}"


_GAINED: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "top1": ("top-1 ", lambda value: f"{value:.3f}"),
    "latency_p90": ("p90 ", lambda value: f"{duration_text(value)} ms"),
    "file_size": ("", size_text),
}
"""The name of a gained metric, and how its values are written."""


def _useless(limits: Sequence[str], chosen: Row | None, *, known: bool) -> list[str]:
    """Names the limits that gain nothing if they alone are relaxed, or of which that is not known."""
    if not limits:
        return []
    words = " or ".join(filter(None, [", ".join(limits[:-1]), limits[-1]]))
    if not known:
        return [f"Whether relaxing {words} alone {'is enough' if chosen is None else 'gains anything'} is not known."]
    return [f"Relaxing {words} alone {'is not enough' if chosen is None else 'gains nothing'}."]
