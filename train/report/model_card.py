"""``model_card.md``: the data, settings, versions and limits of a model.

Source of the form: Mitchell et al., Model cards for model reporting, arXiv 1810.03993.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from tledge.core import atomic
from tledge.core.card_section import PLACE
from tledge.core.manifest import RunManifest
from tledge.core.markdown_text import Markdown, bullets, code_text, heading, plain_text, table_row
from tledge.core.number_text import counted
from tledge.core.statistics import sample_size
from tledge.train.backbone import BACKBONES
from tledge.train.evaluation import Evaluation
from tledge.train.history import FINE_TUNE, FULL, PROBE, Epoch
from tledge.train.report.card_header import card_header
from tledge.train.train_settings import Settings

MOST_LISTED = 40
"""The most classes with a row in the table."""

FEW = 30
"""Test photos of a class below which its figures are uncertain."""

WIDE, NARROW = 0.1, 0.05
"""Half the width of an interval of test top-1 above which the test split is too small, and the one to aim for."""

UNBALANCED = 3
"""Ratio between the sizes of classes above which they count as unbalanced."""


def write_model_card(
    path: Path,
    manifest: RunManifest,
    *,
    settings: Settings,
    epochs: Sequence[Epoch],
    evaluation: Evaluation,
    figures: Sequence[tuple[str, Path]],
) -> None:
    """Writes the card of a finished run.

    Args:
        evaluation: on the test split.
        figures: image files, each with its alternative text.
    """
    low, high = evaluation.top1_interval
    sections = [
        card_header(manifest, settings),
        heading(manifest.name, 1),
        f"An image classifier for the classes {_listed(manifest.class_names)}. Backbone:"
        f" {plain_text(settings.backbone)}{f' at width {settings.alpha:g}' if settings.alpha != 1 else ''}; input:"
        f" {settings.image_size} px.",
        f"**Test top-1 {evaluation.top1:.3f}** (95% interval {low:.3f} to {high:.3f},"
        f" {counted(len(evaluation.labels), 'photos')} not used in training). Calibration error"
        f" {evaluation.calibration_error:.3f}: the average difference between its scores and its accuracy.",
        *_too_few(evaluation),
        *(f"![{plain_text(text)}]({picture.relative_to(path.parent).as_posix()})" for text, picture in figures),
        heading("By class", 2),
        _class_table(manifest, evaluation),
        PLACE,
        heading("Data", 2),
        bullets(map(Markdown, _data(manifest))),
        heading("Training", 2),
        bullets(map(Markdown, _training(manifest, settings, epochs=epochs))),
        heading("Limits", 2),
        bullets(map(Markdown, _limits(manifest, settings, evaluation=evaluation))),
        heading("Versions", 2),
        bullets([f"{name} {version}" for name, version in sorted(manifest.versions.items())]),
        f"SHA-256 of `model.keras`: `{manifest.model_sha256}`",
    ]
    atomic.write_text(path, "\n\n".join(sections) + "\n")


def _too_few(evaluation: Evaluation) -> list[str]:
    """Returns what to do about a test split that is too small to mean much; empty for a larger one."""
    low, high = evaluation.top1_interval
    if high - low <= 2 * WIDE:
        return []
    photos, enough = len(evaluation.labels), sample_size((low, high), NARROW)
    return [
        f"> **Too few test photos.** With {photos:,}, the 95% interval of the accuracy is {low:.0%} to {high:.0%}."
        f" About {enough:,} test photos would narrow it to ±{NARROW:.0%}: add photos, or train again with a larger"
        " test fraction."
    ]


def _class_table(manifest: RunManifest, evaluation: Evaluation) -> str:
    counts = evaluation.confusion.sum(axis=1)
    order = sorted(range(len(counts)), key=lambda label: (evaluation.recall[label], label))
    rows = ["| class | test photos | precision | recall | most often confused with |", "|---|---:|---:|---:|---|"]
    for label in order[:MOST_LISTED]:
        row = evaluation.confusion[label].copy()
        row[label] = 0
        other = f"{manifest.class_names[row.argmax()]} ({row.max()})" if row.max() else "—"
        precision, recall = (_fraction(values[label]) for values in (evaluation.precision, evaluation.recall))
        rows.append(table_row((manifest.class_names[label], f"{counts[label]:,}", precision, recall, other)))
    if len(order) > MOST_LISTED:
        rows += ["", f"The {MOST_LISTED} classes with the lowest recall; all {len(order)} are in `evaluation.json`."]
    return "\n".join(rows)


def _data(manifest: RunManifest) -> list[str]:
    data = manifest.data
    splits = " · ".join(f"{split} {count:,}" for split, count in data.splits.items())
    facts = [
        f"{code_text(data.title)}: {counted(sum(data.images.values()), 'photos')} of {len(data.images)} classes;"
        f" {splits}",
        f"fingerprint `{data.fingerprint}`; `splits.json` lists the photos of each split",
        f"near-duplicates: {data.near_duplicates:,}; each group is kept in one split",
    ]
    for names, reason in (
        (data.skipped, "cannot be read"),
        (data.contradicted, "identical to a file of another class"),
        (data.leaking, "near-duplicate of a photo in another split"),
    ):
        if names:
            facts.append(f"{counted(len(names), 'files')} left out ({reason}): {_listed(names)}")
    return facts


def _training(manifest: RunManifest, settings: Settings, *, epochs: Sequence[Epoch]) -> list[str]:
    weights = manifest.weights
    digest = f" (SHA-256 `{weights.sha256}`)" if weights.sha256 else ""
    facts = [
        f"initial weights: {plain_text(Path(weights.source).name)}{digest};"
        f" reference: {BACKBONES.load(settings.backbone).reference}",
        f"device: {plain_text(manifest.device)}; precision {settings.precision}; seed {settings.seed}",
    ]
    counts = {phase: sum(row.phase == phase for row in epochs) for phase in (PROBE, FINE_TUNE, FULL)}
    if counts[PROBE]:
        top1 = manifest.metrics["probe_validation_top1"]
        facts.append(f"linear probe: {counts[PROBE]} penalties tried, validation top-1 {top1:.3f}")
    for phase in (FINE_TUNE, FULL):
        if not counts[phase]:
            continue
        layers = (
            f"from stage {settings.fine_tune_from} on, batch norms in inference mode; "
            if phase == FINE_TUNE
            else "every layer; "
        )
        best, share = round(manifest.metrics["best_epoch"]), manifest.metrics["best_epoch_share"]
        mixed = f", averaged with {1 - share:.0%} of the linear probe's" if share < 1 else ""
        where = " under attack" if settings.adversarial is not None else ""
        probe = f"the linear probe was better{where} and is kept"
        kept = f"the weights of epoch {best} are kept{mixed}" if best else probe
        facts.append(
            f"{phase}: {layers}{counted(counts[phase], 'epochs')}, AdamW, peak learning rate"
            f" {settings.learning_rate:g}, batch size {settings.batch_size}, label smoothing"
            f" {settings.label_smoothing:g}; {kept}"
        )
        facts.append(f"augmentation: {_augmentation(settings)}")
    if settings.adversarial is not None:
        robust, low, high = (manifest.metrics[f"validation_robust_accuracy{end}"] for end in ("", "_low", "_high"))
        facts.append(
            f"adversarial training: every photo was attacked in every step, around eps {settings.adversarial}/255"
            f" (L-infinity); validation accuracy under a short attack with that eps: {robust:.3f} (95% interval"
            f" {low:.3f} to {high:.3f})"
        )
    return facts


def _augmentation(settings: Settings) -> str:
    if not settings.augment:
        return "none"
    changes = {
        "mirrored at random": settings.flip,
        f"cropped to {settings.crop:.0%} of each side or more": settings.crop < 1,
        f"rotated by up to {settings.rotation:g} degrees": settings.rotation,
        f"brightness, contrast and saturation changed by up to {settings.colour:.0%}": settings.colour,
    }
    return ", ".join(text for text, used in changes.items() if used) or "none"


def _limits(manifest: RunManifest, settings: Settings, *, evaluation: Evaluation) -> list[str]:
    counts = evaluation.confusion.sum(axis=1)
    few = [name for label, name in enumerate(manifest.class_names) if counts[label] < FEW]
    attacks = "Longer attacks than the one above succeed more often, and those with a larger eps far more often"
    if settings.adversarial is None:
        attacks = "Training did not measure its robustness to attacks"
    facts = [
        "It assigns one of its classes to every photo, even if the photo shows none of them.",
        f"Photos are resized to {settings.image_size} x {settings.image_size} px by the rule"
        f" {code_text(settings.resize)}; smaller details are lost.",
        "The figures apply to photos like the training photos. Expect lower accuracy with other cameras, lighting or"
        " places.",
        f"{attacks}; `tledge bench` measures it, on the exported files.",
    ]
    if few:
        facts.append(f"Fewer than {FEW} test photos of {_listed(few)}: their figures are uncertain.")
    sizes = manifest.data.images.values()
    if max(sizes) > UNBALANCED * min(sizes):
        weighed = "are weighted more in training" if settings.class_weights else "are not weighted more in training"
        facts.append(f"Classes are unbalanced ({min(sizes):,} to {max(sizes):,} photos); rare ones {weighed}.")
    return facts


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(map(code_text, names[:most]))
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _fraction(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.3f}"
