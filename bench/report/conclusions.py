"""What a benchmark says in a few sentences: only what its intervals and tests carry."""

from __future__ import annotations

from tledge.bench.report.attack_sections import conclude_attacks
from tledge.bench.report.report_data import ReportData
from tledge.bench.results.number_text import flag_text, listed, p_text
from tledge.bench.results.rows import Row
from tledge.core.significance import FASTER, SIGNIFICANT, SLOWER


def conclude(data: ReportData) -> list[str]:
    """The answer first, then what speaks against it: plain sentences."""
    compared = [(row, base) for row in data.rows if (base := data.of(row.baseline, row.target)) is not None]
    sentences = [sentence for target in data.targets if (sentence := _fastest(compared, target))]
    if any(row.ratio is not None for row, _ in compared) and not sentences:
        sentences.append(_none_faster(compared))
    sentences += _top1_changes(compared)
    sentences += [_parity(row) for row in data.rows if row.parity_class is not None]
    sentences += conclude_attacks(data)
    sentences += _flags(data)
    if data.settings.interrupted:
        sentences.append("It was stopped before its end: some cells have fewer rounds, or none.")
    return sentences


def _fastest(compared: list[tuple[Row, Row]], target: str) -> str:
    """The artifact of a target that is surely faster than its baseline and not surely worse, if there is one."""
    faster = [
        (row, base)
        for row, base in compared
        if row.target == target and row.verdict == FASTER and not _is_worse(row, base)
    ]
    if not faster:
        return ""
    row, base = min(faster, key=lambda pair: pair[0].ratio or 1.0)
    return f"{row.artifact} is {speed_text(row)} than {base.artifact} on {target}, {_share(row, base)}{_top1(row)}."


def speed_text(row: Row) -> str:
    """How a row compares: "1.34× faster (1.30–1.38)", "1.20× slower (…)" or "not shown to differ in latency (…)"."""
    if row.ratio is None or row.ratio_interval is None:
        return ""
    low, high = row.ratio_interval
    said = row.verdict
    if said == FASTER:
        return f"{1 / row.ratio:.2f}× faster ({1 / high:.2f}–{1 / low:.2f})"
    if said == SLOWER:
        return f"{row.ratio:.2f}× slower ({low:.2f}–{high:.2f})"
    return f"not shown to differ in latency ({low:.2f}–{high:.2f})"


def _share(row: Row, base: Row) -> str:
    return f"{row.size / base.size:.2f} of its size" if base.size else "of unknown size"


def _top1(row: Row) -> str:
    if row.mcnemar_p is None:
        return ""
    different = "different" if row.mcnemar_p < SIGNIFICANT else "not shown to differ"
    return f", top-1 {different} (McNemar p {_equals(row.mcnemar_p)})"


def _equals(value: float) -> str:
    said = p_text(value)
    return said if said.startswith("<") else f"= {said}"


def _is_worse(row: Row, base: Row) -> bool:
    return _differs(row) and (row.top1 or 0.0) < (base.top1 or 0.0)


def _differs(row: Row) -> bool:
    return row.mcnemar_p is not None and row.mcnemar_p < SIGNIFICANT


def _none_faster(compared: list[tuple[Row, Row]]) -> str:
    bases = list(dict.fromkeys(base.artifact for _, base in compared))
    worse = [row for row, base in compared if row.verdict == FASTER and _is_worse(row, base)]
    if worse:
        return f"Faster than {listed(bases)}, but less accurate: {listed([_cell(row) for row in worse])}."
    return f"Nothing is shown to be faster than {listed(bases)}."


def _top1_changes(compared: list[tuple[Row, Row]]) -> list[str]:
    """Each artifact whose top-1 differs from its baseline's, once for all targets."""
    sentences: dict[tuple[str, str], str] = {}
    for row, base in compared:
        if _differs(row) and row.top1 is not None and base.top1 is not None and row.mcnemar_p is not None:
            change = "lower" if row.top1 < base.top1 else "higher"
            sentences.setdefault(
                (row.artifact, base.artifact),
                f"Top-1 of {row.artifact} is {change} than that of {base.artifact}: {row.top1:.3f} against"
                f" {base.top1:.3f} (McNemar p {_equals(row.mcnemar_p)}).",
            )
    return list(sentences.values())


def _parity(row: Row) -> str:
    """Whether an artifact answers elsewhere as on the machine that the report is written on."""
    if row.parity_bits == 1.0:
        return f"{row.artifact} answers as on the workstation, bit for bit."
    share = "every photo" if row.parity_class == 1.0 else f"{row.parity_class or 0.0:.1%} of the photos"
    return (
        f"{row.artifact} gives {share} the class that it gives on the workstation; its logits differ by at most"
        f" {row.parity_difference or 0.0:.2g}, and not by a bit for {row.parity_bits or 0.0:.1%}."
    )


def _flags(data: ReportData) -> list[str]:
    flagged: dict[str, list[Row]] = {}
    for row in data.rows:
        for flag in row.flags:
            flagged.setdefault(flag, []).append(row)
    if not flagged:
        return ["Nothing is flagged."]
    return [
        f"Flagged {flag_text(flag)}: "
        + ("every cell." if len(rows) == len(data.rows) else f"{listed([_cell(row) for row in rows], 4)}.")
        for flag, rows in flagged.items()
    ]


def _cell(row: Row) -> str:
    return f"{row.artifact} on {row.target}"
