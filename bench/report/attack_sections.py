"""The sections on attacks: robust accuracy over eps, its change by quantization, and attacked photos."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tledge.bench.report.plots.curves import Curve
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.report_figures import RobustnessFigures, draw_robustness
from tledge.bench.results.rows import CLEAN, TRANSFER, WORST
from tledge.bench.results.stored_results import StoredResults
from tledge.bench.robustness.attack_examples import AttackExample, RobustnessRecord
from tledge.core.errors import ImageError
from tledge.core.images import Pixels, decode
from tledge.core.measurement import Measurement
from tledge.core.number_text import ABSENT, interval_text, listed, p_text
from tledge.core.significance import holm

NORMS = {"linf": "L∞", "l2": "L2"}
GREY = 128
DETAILS = (
    ("robust_accuracy", ".3f"),
    ("attack_success_rate", ".3f"),
    ("adversarial_distance", ".0f"),
    ("attack_queries", ".0f"),
    ("attack_time", ".1f"),
)
"""The numbers of each attack, and how they are written."""


AttackedRow = tuple[str, str, tuple[tuple[str, str], ...], str]
"""An artifact, its target, its robust accuracy at each eps with the interval, and a comparison with float32."""


@dataclass(frozen=True, kw_only=True)
class AttackedTable:
    """Robust accuracy of all artifacts in one norm, at each eps (in 1/255; 0 is without an attack)."""

    norm: str
    eps: tuple[float, ...]
    photos: int
    rows: tuple[AttackedRow, ...]


@dataclass(frozen=True, kw_only=True)
class PhotoTriple:
    """An attacked photo beside its original.

    Attributes:
        example: the photo's class and its predictions.
        title: the attack, in words.
        original, difference, attacked: PNG files as data URIs.
        factor: by which the difference is enlarged.
    """

    example: AttackExample
    title: str
    original: str
    difference: str
    attacked: str
    factor: int


def attacked_curves(data: StoredResults) -> list[RobustnessFigures]:
    """Draws accuracy over eps of each artifact: under the worst of all attacks, then under each attack by itself."""
    clean = {(i.artifact, i.params["norm"]): i.value for i in _robust(data) if i.params["attack"] == CLEAN}
    kinds: dict[str, list[Measurement]] = {}
    for item in sorted(_robust(data), key=lambda item: item.params["attack"] != WORST):
        if item.params["attack"] != CLEAN:
            kinds.setdefault(_kind(item), []).append(item)
    markers = {name: Marker(order) for order, name in enumerate(dict.fromkeys(i.artifact for i in _robust(data)))}
    return [_curves(title, items, clean, markers, number) for number, (title, items) in enumerate(kinds.items())]


def attacked_tables(data: StoredResults) -> list[AttackedTable]:
    """Returns robust accuracy under the worst of all attacks, one table per norm."""
    found = [item for item in _robust(data) if item.params["attack"] in (CLEAN, WORST)]
    return [
        _table(data, str(norm), [item for item in found if item.params["norm"] == norm])
        for norm in dict.fromkeys(item.params["norm"] for item in found)
    ]


def attack_details(data: StoredResults) -> list[tuple[str, str, str, str, list[str]]]:
    """Returns every attack at every eps on every artifact: artifact, attack, what it was made on, eps and numbers."""
    values = {(item.metric, *_attack(item)): item.value for item in data.measurements if item.scenario == "robustness"}
    details = []
    for item in _robust(data):
        if item.params["attack"] not in (CLEAN, WORST):
            found = [(values.get((metric, *_attack(item))), form) for metric, form in DETAILS]
            numbers = [ABSENT if value is None else format(value, form) for value, form in found]
            details.append((item.artifact, str(item.params["attack"]), _made_on(item), _eps_text(item), numbers))
    return details


def photo_triples(data: StoredResults) -> list[PhotoTriple]:
    """Returns the attacked photos that a benchmark chose to show, as far as their files are still there."""
    found = []
    for example in RobustnessRecord.load(data.folder.robustness).examples:
        try:
            names = (example.original, example.attacked)
            original, attacked = (np.asarray(decode(data.folder.adversarial / name)) for name in names)
        except ImageError:
            continue
        if original.shape != attacked.shape:
            continue
        change = attacked.astype(np.int16) - original
        factor = max(1, (GREY - 1) // max(1, int(np.abs(change).max())))
        found.append(
            PhotoTriple(
                example=example,
                title=f"{example.attack}, {example.setting}, {NORMS[example.norm]} eps {example.eps:g}/255",
                original=_png_uri(original),
                difference=_png_uri(np.clip(GREY + change * factor, 0, 255).astype(np.uint8)),
                attacked=_png_uri(attacked),
                factor=factor,
            )
        )
    return found


def conclude_attacks(data: StoredResults) -> list[str]:
    """Returns the accuracy under attack at the smallest eps, and the effect of quantization; empty without attacks."""
    worst = [i for i in _robust(data) if i.params["attack"] == WORST and not i.target.startswith("keras")]
    if not worst:
        return []
    least = min(worst, key=lambda item: float(item.params["eps"]))
    values = [item.value for item in worst if _eps_text(item) == _eps_text(least)]
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    accuracy = low if low == high else f"{low} to {high}"
    sentence = f"Robust accuracy under the worst of all attacks at {_eps_text(least)} is {accuracy} ({least.n} photos)"
    tests = [item for item in _tests(data) if _eps_text(item) == _eps_text(least)]
    different = [item for item in _different(data) if item in tests]
    if different:
        changes = [f"{i.artifact} is {_more_or_less(i)} robust than {i.params['against']}" for i in different]
        return [f"{sentence}; {listed(changes)}."]
    return [f"{sentence}; quantization does not change it significantly." if tests else f"{sentence}."]


def _robust(data: StoredResults) -> list[Measurement]:
    return [item for item in data.measurements if item.metric == "robust_accuracy"]


def _made_on(item: Measurement) -> str:
    setting = str(item.params["setting"])
    return f"transfer from {item.params['source']}" if setting == TRANSFER else setting


def _kind(item: Measurement) -> str:
    norm = NORMS[item.params["norm"]]
    if item.params["attack"] == WORST:
        return f"worst of all attacks, {norm}"
    return f"{item.params['attack']}, {_made_on(item)}, {norm}"


def _eps_text(item: Measurement) -> str:
    return f"{NORMS[item.params['norm']]} eps {item.params['eps']:g}/255"


def _attack(item: Measurement) -> tuple[object, ...]:
    """Returns what tells one attack of an artifact from the others."""
    params = item.params
    return (item.artifact, *(params.get(name) for name in ("attack", "setting", "source", "norm", "eps", "steps")))


def _curves(
    title: str,
    items: Sequence[Measurement],
    clean: Mapping[tuple[str, str], float],
    markers: Mapping[str, Marker],
    number: int,
) -> RobustnessFigures:
    """Draws the curves of one attack; an artifact has the same marker in all plots."""
    curves = []
    for artifact, target in dict.fromkeys((item.artifact, item.target) for item in items):
        mine = [item for item in items if item.artifact == artifact]
        points = [(float(i.params["eps"]), i.value) for i in mine]
        points.append((0.0, clean[artifact, mine[0].params["norm"]]))
        curves.append(Curve(f"{artifact} · {target}", tuple(sorted(points)), markers[artifact]))
    return draw_robustness(
        curves, f"robustness-{number}", title, of="Accuracy under attack", across_title="eps, in 1/255"
    )


def _table(data: StoredResults, norm: str, items: Sequence[Measurement]) -> AttackedTable:
    eps = tuple(sorted({float(item.params["eps"]) for item in items}))
    rows = []
    for artifact, target in dict.fromkeys((item.artifact, item.target) for item in items):
        mine = {float(item.params["eps"]): item for item in items if item.artifact == artifact}
        cells = tuple(_cell(mine.get(column)) for column in eps)
        rows.append((artifact, target, cells, _compared(data, artifact, norm)))
    return AttackedTable(norm=NORMS[norm], eps=eps, photos=items[0].n, rows=tuple(rows))


def _cell(item: Measurement | None) -> tuple[str, str]:
    if item is None:
        return ABSENT, ""
    return f"{item.value:.3f}", interval_text(item.interval or (0.0, 1.0))


def _compared(data: StoredResults, artifact: str, norm: str) -> str:
    tests = [item for item in _tests(data) if item.artifact == artifact and item.params["norm"] == norm]
    if not tests:
        return ABSENT
    different = [item for item in _different(data) if item in tests]
    return (
        "; ".join(f"{_more_or_less(i)} robust at eps {i.params['eps']:g} (p {p_text(i.value)})" for i in different)
        or "not significantly different"
    )


def _tests(data: StoredResults) -> list[Measurement]:
    return [i for i in data.measurements if i.metric == "robust_mcnemar" and i.params["attack"] == WORST]


def _different(data: StoredResults) -> list[Measurement]:
    """Returns the tests that are significant when all of the table are taken together (Holm)."""
    tests = _tests(data)
    return [item for item, significant in zip(tests, holm([i.value for i in tests]), strict=True) if significant]


def _more_or_less(item: Measurement) -> str:
    return "more" if item.params["only_this_right"] > item.params["only_baseline_right"] else "less"


def _png_uri(pixels: Pixels) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
