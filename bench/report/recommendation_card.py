"""The card at the top of every report: the file to ship, its main figures, and why not the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.bench.report.budget_sentences import budget_effects, budget_status
from tledge.bench.report.conclusions import accuracy_text, speed_text
from tledge.bench.results.budget_judgement import MET, MISSED, UNDECIDED
from tledge.bench.results.columns import top1_heading
from tledge.bench.results.flags import NOISY, ONE_ROUND
from tledge.bench.results.recommendation import (
    ALONE,
    FLAGGED,
    LESS_ACCURATE,
    NONE_MEETS_BUDGET,
    NOT_TIMED,
    SLOW,
    UNCERTAIN,
    Recommendation,
    RuledOut,
)
from tledge.bench.results.rows import Row
from tledge.bench.results.stored_results import StoredResults
from tledge.core.cpu import missing_int8_instructions
from tledge.core.number_text import duration_text, flag_text, interval_text, listed
from tledge.core.significance import FASTER
from tledge.core.sizes import size_text
from tledge.edge_runtime.delegation import partial_delegation

RULE = (
    "Chosen by this rule{within}: of the files that are not significantly less accurate than the best, the fastest by"
    " the upper bound of p90; of those that are as fast within 5%, the smallest."
)
WITHOUT_ACCURACY = (
    "Chosen by this rule{within}, without accuracy, not known for each photo: the fastest by the upper bound of p90;"
    " of the files that are as fast within 5%, the smallest."
)
WITHIN: Mapping[str, str] = {
    MET: ", among the files that meet the budget",
    UNDECIDED: ", among the files that may meet the budget",
}
"""What the rule was applied to, by whether the recommended file meets the budget."""

ALONE_OUTCOMES: Mapping[str, str] = {
    MET: " meets the budget",
    MISSED: " misses the budget",
    UNDECIDED: " (budget not decided)",
}
"""What follows the name of a single file."""

NO_FILE: Mapping[str, str] = {
    NOT_TIMED: "Nothing was timed, so no file is recommended.",
    FLAGGED: "All latencies{of} are flagged ({flags}) and cannot be compared, so no file is recommended.{remedy}",
    ONE_ROUND: "With a single round no difference can be tested, so no file is recommended. Measure at least three"
    " rounds.",
    NONE_MEETS_BUDGET: "{none} every limit of the budget: {limits}.",
    ALONE: "Only one file was measured, so there is no other to compare it with.",
}
"""Why nothing is recommended."""


@dataclass(frozen=True, kw_only=True)
class CardFigure:
    """One of the figures that matter.

    Attributes:
        heading: what it is.
        value: with its unit.
        detail: its 95% interval; may be empty.
    """

    heading: str
    value: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class RecommendationCard:
    """What a report begins with.

    Attributes:
        title: "Ship int8.tflite on litert:cpu:2".
        figures: of that file.
        why: sentences, the most important first.
        rule: how it was chosen; empty if nothing was.
    """

    title: str
    figures: tuple[CardFigure, ...] = ()
    why: tuple[str, ...]
    rule: str = ""


def recommendation_card(data: StoredResults, found: Recommendation) -> RecommendationCard:
    """Puts a recommendation into words."""
    if found.chosen is None:
        return _card_without_file(found)
    chosen = found.chosen
    reasons = [_against_baseline(chosen, data)]
    if found.runner_up is not None:
        reasons.append(f"Runner-up: {found.runner_up.row.name}, {_reason(found.runner_up, than=False)}.")
    if found.equals:
        reasons.append(f"As good: {listed([row.name for row in found.equals], 3)}.")
    reasons += [*_avoided(found), *_slow_int8(chosen, data)]
    outcome = "" if found.budget is None else found.budget.of(chosen).outcome
    return RecommendationCard(
        title=f"Ship {chosen.name}{' (budget not decided)' if outcome == UNDECIDED else ''}",
        figures=_figures(chosen),
        why=_with_budget(found, [sentence for sentence in reasons if sentence]),
        rule=(RULE if found.accuracy_known else WITHOUT_ACCURACY).format(within=WITHIN.get(outcome, "")),
    )


def _card_without_file(found: Recommendation) -> RecommendationCard:
    """Says why nothing is recommended; of a single file, shows the figures."""
    why = NO_FILE[found.undecided].format(
        of=_of(found),
        none="No file meets" if _misses(found) else "No file is shown to meet",
        limits="" if found.budget is None else listed([limit.text for limit in found.budget.limits]),
        flags=listed([flag_text(flag) for flag in found.flags]),
        remedy=" Measure again on a quiet machine." if NOISY in found.flags else "",
    )
    row = found.alone
    title = "No file meets the budget" if _misses(found) else "No recommendation"
    if row is not None:
        title = row.name if found.budget is None else row.name + ALONE_OUTCOMES[found.budget.of(row).outcome]
    return RecommendationCard(
        title=title,
        figures=() if row is None else _figures(row),
        why=(why, *_with_budget(found, _avoided(found))),
    )


def _with_budget(found: Recommendation, reasons: Sequence[str]) -> tuple[str, ...]:
    """Returns the reasons, between whether the budget is met and what it does."""
    if found.budget is None:
        return tuple(reasons)
    shown = found.chosen or found.alone
    return (*budget_status(found.budget, shown), *reasons, *budget_effects(found.budget, shown))


def _avoided(found: Recommendation) -> list[str]:
    return [f"Avoid {item.name}: {_reason(item)}." for item in found.avoided]


def _of(found: Recommendation) -> str:
    """Returns whose latencies are flagged where not all files are considered."""
    if found.budget is not None and any(item.outcome == MET for item in found.budget.rows):
        return " of files that meet the budget"
    return " of files that are accurate enough" if found.avoided else ""


def _misses(found: Recommendation) -> bool:
    """Whether every file misses a limit of the budget."""
    return found.budget is not None and all(item.missed for item in found.budget.rows)


def _figures(row: Row) -> tuple[CardFigure, ...]:
    figures = []
    p50, p90, top1 = row.value("latency_p50"), row.value("latency_p90"), row.value("top1")
    if p50 is not None and p90 is not None:
        ends = row.interval("latency_p90")
        detail = "" if ends is None else f"95% of p90: {'–'.join(map(duration_text, ends))} ms"
        value = f"{duration_text(p50)} / {duration_text(p90)} ms"
        figures.append(CardFigure(heading="Latency p50 / p90", value=value, detail=detail))
    if size := row.value("file_size"):
        figures.append(CardFigure(heading="Size", value=size_text(size)))
    if top1 is not None:
        interval = interval_text(row.interval("top1"))
        detail = f"95%: {interval}" if interval else ""
        figures.append(CardFigure(heading=top1_heading([row]), value=f"{top1:.3f}", detail=detail))
    return tuple(figures)


def _against_baseline(row: Row, data: StoredResults) -> str:
    """Compares a file with its float32 file: "3.2× smaller than float32.tflite and 1.34× faster (1.30–1.38); …"."""
    base = data.row(row.baseline, row.target)
    if base is None:
        return ""
    parts = []
    size, other = row.value("file_size"), base.value("file_size")
    if size and other:
        parts.append(_size_words(size / other))
    if speed := speed_text(row):
        parts.append(speed)
    accuracy = accuracy_text(row)
    return f"Compared with {base.artifact}: {', '.join(parts)}{f'; {accuracy}' if accuracy else ''}."


def _reason(item: RuledOut, *, than: bool = True) -> str:
    """Returns why a file is not the first choice, without a full stop; ``than``: names what it is slower than."""
    if item.reason == LESS_ACCURATE:
        top1, best = item.row.value("top1") or 0.0, item.than.value("top1") or 0.0
        return f"significantly less accurate, top-1 {top1:.3f} against {best:.3f} of {item.than.artifact}"
    if item.reason == SLOW:
        cause = partial_delegation(item.row.provider)
        at = " at p90" if item.metric == "latency_p90" else ""
        slower = f"{item.ratio:.2f}× slower{at} ({interval_text(item.interval, 2)})"
        slower += f" than {item.than.artifact}" if than else ""
        return f"{slower}; {cause}" if cause else slower
    if item.reason == UNCERTAIN:
        ends = "" if item.interval is None else f" ({interval_text(item.interval, 2)})"
        return f"not shown to be as fast: {item.ratio:.2f}× the p90{ends}"
    return f"as fast within 5%, but {_size_words(item.ratio)}"


def _size_words(ratio: float) -> str:
    """Returns a ratio of sizes in words: "3.2× smaller", or "slightly larger" for what would be 1.0×."""
    if ratio == 1.0:
        return "of the same size"
    factor = max(ratio, 1 / ratio)
    return f"{f'{factor:.1f}×' if factor >= 1.05 else 'slightly'} {'larger' if ratio > 1 else 'smaller'}"


def _slow_int8(chosen: Row, data: StoredResults) -> list[str]:
    """Explains why an int8 file is not faster than its float32 file on the chosen target, as far as it is known."""
    sentences = []
    for row in data.rows:
        if not row.artifact.startswith("int8") or row.target != chosen.target or not row.timely:
            continue
        if row.interval("latency_ratio") is None or row.verdict == FASTER:
            continue
        sample = data.raw_samples.get((row.artifact, row.target))
        machine = data.environments[sample.environment_id] if sample else None
        missing = "" if machine is None else missing_int8_instructions(machine.machine, machine.cpu_features)
        causes = [partial_delegation(row.provider)]
        causes += [f"this CPU has no instructions for fast 8-bit arithmetic ({missing})"] if missing else []
        reasons = " and ".join(filter(None, causes)) or "its profile shows the slowest operators"
        sentences.append(f"{row.artifact} is not significantly faster than {row.baseline} on this machine: {reasons}.")
    return sentences
