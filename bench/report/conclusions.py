"""The conclusions of a benchmark in a few sentences, limited to what its intervals and tests support."""

from __future__ import annotations

from tledge.bench.report.attack_sections import conclude_attacks
from tledge.bench.results.flags import ONE_ROUND, UNTIMELY
from tledge.bench.results.recommendation import FLAGGED, Recommendation
from tledge.bench.results.rows import Row
from tledge.bench.results.settings import NOT_REACHED
from tledge.bench.results.stored_results import StoredResults
from tledge.core.number_text import counted, flag_text, listed, p_text, speed_interval, speed_words
from tledge.core.significance import FASTER, SIGNIFICANT


def conclude(data: StoredResults) -> list[str]:
    """Returns plain sentences: the main results that the card does not give, then reasons to doubt them."""
    compared = [(row, base) for row in data.rows if (base := data.row(row.baseline, row.target)) is not None]
    card = data.recommendation
    sentences, doubtful = _latencies(data, compared, card)
    avoided = {item.row.artifact for item in card.avoided}
    sentences += _accuracy_changes([pair for pair in compared if pair[0].artifact not in avoided])
    sentences += [_parity(row) for row in data.rows if "parity_class" in row.measured]
    sentences += conclude_attacks(data)
    sentences += data.known_settings.doubts
    sentences += data.known_settings.overlap.sentences(data.known_settings.images)
    sentences += _flags(data, doubtful)
    if data.known_settings.interrupted:
        sentences.append(_stopped(data))
    return sentences


def _latencies(
    data: StoredResults, compared: list[tuple[Row, Row]], card: Recommendation
) -> tuple[list[str], set[str]]:
    """Names the fastest files, the card's aside, or says that none is; returns the flags that this or the card names.

    A card without a file says why no latency can be compared.
    """
    fastest = [pair for target in data.targets if (pair := _fastest(compared, target))]
    if fastest or not any("latency_ratio" in row.measured for row, _ in compared):
        return [_faster_sentence(row, base) for row, base in fastest if row != card.chosen], set()
    if card.undecided == ONE_ROUND:
        return [], {ONE_ROUND}
    if card.undecided == FLAGGED:
        return [], set(card.flags)
    doubtful: set[str] = set()
    if not any(row.timely for row, _ in compared):
        doubtful = {flag for row, _ in compared for flag in row.flags if flag in UNTIMELY}
    return [_none_faster(compared, doubtful)], doubtful


def _fastest(compared: list[tuple[Row, Row]], target: str) -> tuple[Row, Row] | None:
    """Returns the fastest row of a target that is faster than its baseline and not less accurate, with the baseline."""
    faster = [
        (row, base)
        for row, base in compared
        if row.target == target and row.verdict == FASTER and not _is_worse(row, base)
    ]
    return min(faster, key=lambda pair: pair[0].value("latency_ratio") or 1.0, default=None)


def _faster_sentence(row: Row, base: Row) -> str:
    size, base_size = row.value("file_size") or 0, base.value("file_size")
    share = f"{size / base_size:.2f} of its size" if base_size else "of unknown size"
    accuracy = accuracy_text(row)
    more = f"; {accuracy}" if accuracy else ""
    return f"{row.artifact} is {speed_text(row)} than {base.artifact} on {row.target}, {share}{more}."


def speed_text(row: Row) -> str:
    """Compares a row with its baseline: "1.34× faster (1.30–1.38)", "1.20× slower (…)"; empty without an interval.

    A difference that the interval does not show reads "not significantly different in latency (0.95–1.04)".
    """
    ratio, interval = row.value("latency_ratio"), row.interval("latency_ratio")
    if ratio is None or interval is None:
        return ""
    words = speed_words(ratio) if row.verdict else "not significantly different in latency"
    return f"{words} ({speed_interval(ratio, interval)})"


def accuracy_text(row: Row) -> str:
    """Compares a row's accuracy with its baseline's: "accuracy is not significantly different (McNemar p = 1.00)"."""
    p_value = row.value("mcnemar")
    if p_value is None:
        return ""
    different = "significantly" if p_value < SIGNIFICANT else "not significantly"
    return f"accuracy is {different} different ({_mcnemar(p_value)})"


def _mcnemar(p_value: float) -> str:
    text = p_text(p_value)
    return f"McNemar p {text}" if text.startswith("<") else f"McNemar p = {text}"


def _is_worse(row: Row, base: Row) -> bool:
    p_value = row.value("mcnemar")
    differs = p_value is not None and p_value < SIGNIFICANT
    return differs and (row.value("top1") or 0.0) < (base.value("top1") or 0.0)


def _none_faster(compared: list[tuple[Row, Row]], doubtful: set[str]) -> str:
    if doubtful:
        flags = listed([flag_text(flag) for flag in sorted(doubtful)])
        return f"Latencies cannot be compared: all of them are flagged ({flags})."
    bases = listed(list(dict.fromkeys(base.artifact for _, base in compared)))
    worse = [row.name for row, base in compared if row.verdict == FASTER and _is_worse(row, base)]
    if worse:
        return f"Faster than {bases}, but less accurate: {listed(worse)}."
    untested = [row.name for row, _ in compared if row.interval("latency_ratio") is None or not row.timely]
    if len(untested) == len(compared):
        return "No latency was compared: there are too few rounds for a test."
    but = f"; {listed(untested, 4)} {'was' if len(untested) == 1 else 'were'} not tested" if untested else ""
    return f"No artifact is significantly faster than {bases}{but}."


def _accuracy_changes(compared: list[tuple[Row, Row]]) -> list[str]:
    """Names each artifact whose accuracy differs from its baseline's, once for all targets."""
    sentences: dict[tuple[str, str], str] = {}
    for row, base in compared:
        p_value, top1, base_top1 = row.value("mcnemar"), row.value("top1"), base.value("top1")
        if p_value is not None and p_value < SIGNIFICANT and top1 is not None and base_top1 is not None:
            sentences.setdefault(
                (row.artifact, base.artifact),
                f"{row.artifact} is {'less' if top1 < base_top1 else 'more'} accurate than {base.artifact}: top-1"
                f" {top1:.3f} against {base_top1:.3f} ({_mcnemar(p_value)}).",
            )
    return list(sentences.values())


def _parity(row: Row) -> str:
    """Compares an artifact's logits elsewhere with those on the machine that writes the report."""
    same_class, same_bits = row.value("parity_class") or 0.0, row.value("parity_bits") or 0.0
    if same_bits == 1.0:
        return f"{row.artifact} computes the same logits as on the workstation, bit for bit."
    share = "every photo" if same_class == 1.0 else f"{same_class:.1%} of the photos"
    return (
        f"{row.artifact} predicts the same class as on the workstation for {share}; its logits differ by at most"
        f" {row.value('parity_difference') or 0.0:.2g}, and are identical for {same_bits:.1%} of the photos."
    )


def _stopped(data: StoredResults) -> str:
    """Says what is missing because the benchmark was stopped."""
    settings = data.known_settings
    missing = [item for item in settings.skipped if item.reason == NOT_REACHED]
    fewer = any(0 < len(result.conditions) < settings.rounds for result in data.raw_samples.values())
    found = [
        f"{counted(len(missing), 'results')} {'is' if len(missing) == 1 else 'are'} missing" if missing else "",
        "some results have fewer rounds" if fewer else "",
    ]
    if settings.not_repeated:
        rounds = counted(settings.not_repeated, "noisy or throttled rounds")
        found.append(f"{rounds} {'was' if settings.not_repeated == 1 else 'were'} not repeated")
    if not any(found):
        found = ["not all robustness results are complete" if settings.corruptions or settings.attacks else ""]
    reasons = listed([text for text in found if text])
    return f"The benchmark was stopped early{': ' if reasons else ''}{reasons}."


def _flags(data: StoredResults, known: set[str]) -> list[str]:
    """Names the results that are flagged; not those of a flag that all have and another sentence names."""
    flagged: dict[str, list[str]] = {}
    for row in data.rows:
        for flag in row.flags:
            flagged.setdefault(flag, []).append(row.name)
    if not flagged:
        return ["No result is flagged."]
    return [
        f"Flagged as {flag_text(flag)}: " + ("all results." if len(names) == len(data.rows) else f"{listed(names, 4)}.")
        for flag, names in flagged.items()
        if len(names) < len(data.rows) or flag not in known
    ]
