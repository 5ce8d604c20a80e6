"""What a training ends with: its figures, its model, and the papers that belong to it. Imports Keras."""

from __future__ import annotations

import resource
import sys
from typing import Any

from tledge.attacks.loss_gradients import GradientModel
from tledge.core.environment import installed_versions
from tledge.core.manifest import RunManifest
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Splits
from tledge.train.adversarial_batches import evaluate_under_attack
from tledge.train.evaluation import Evaluation, evaluate
from tledge.train.history import PROBE, write_history
from tledge.train.inference import ResizeRule
from tledge.train.model_writer import DISTRIBUTIONS, save_model
from tledge.train.phases import TrainedClassifier
from tledge.train.report.evaluation_record import write_evaluation
from tledge.train.report.model_card import write_model_card
from tledge.train.report.training_plots import draw_confusion, draw_training_curves
from tledge.train.resume import UnfinishedRun


def finish_run(
    run: RunDirectory, begun: UnfinishedRun, splits: Splits, learned: TrainedClassifier, progress: Progress
) -> RunManifest:
    """Evaluates a trained classifier, saves it, and writes ``run.json`` last.

    Args:
        run: where to.
        begun: what the run was begun with.
        splits: its photos.
        learned: the classifier.
        progress: is told of it.

    Returns:
        The record of the run.
    """
    settings = begun.settings
    found: dict[str, Evaluation] = {}
    rule: ResizeRule = {"size": settings.input_size, "resize": settings.resize}
    with progress.step("Evaluate", len(splits.validation) + len(splits.test), "photos") as step:
        plain = evaluate(learned.model, splits, "validation", **rule, step=step)
        _divide_logits(learned.model, plain.temperature)
        found["validation"] = plain.at_temperature(plain.temperature)
        found["test"] = evaluate(learned.model, splits, "test", **rule, step=step)
    robust = {} if settings.adversarial is None else _robustness(learned.model, splits, settings.adversarial, rule)
    write_history(run.history, learned.history)
    manifest = RunManifest(
        name=run.path.name,
        created=begun.created,
        backbone=settings.backbone,
        weights=learned.weights,
        class_names=splits.class_names,
        input_size=settings.input_size,
        resize=settings.resize,
        seed=settings.seed,
        config=settings.to_dict(),
        data=begun.data,
        device=learned.device,
        versions=installed_versions(DISTRIBUTIONS),
        metrics={**_metrics(learned, found), **robust, "temperature": plain.temperature},
        model_sha256=save_model(run.model, learned.model, splits.class_names, source_run=run.path.name, **rule),
    )
    write_evaluation(run.evaluation, found["test"], splits.class_names)
    curves, confusion = run.figures / "training.png", run.figures / "confusion.png"
    draw_training_curves(curves, learned.history)
    draw_confusion(confusion, found["test"].confusion, splits.class_names)
    pictures = (("Loss and top-1 over the epochs", curves), ("Confusion matrix of the test split", confusion))
    write_model_card(
        run.model_card, manifest, settings, epochs=learned.history, evaluation=found["test"], figures=pictures
    )
    manifest.save(run.manifest_path)
    return manifest


def _divide_logits(model: Any, temperature: float) -> None:
    """Makes the scores of a classifier as sure as they are right on the validation split; its answers stay."""
    head = model.get_layer("logits")
    head.set_weights([values / temperature for values in head.get_weights()])


def _robustness(model: Any, splits: Splits, eps: int, rule: ResizeRule) -> dict[str, float]:
    """The accuracy on validation photos under attack, with the ends of its 95% interval."""
    _, attacked = evaluate_under_attack(GradientModel(model), splits, "validation", eps=eps, **rule)
    low, high = attacked.top1_interval
    name = "validation_robust_accuracy"
    return {name: attacked.top1, f"{name}_low": low, f"{name}_high": high}


def _metrics(learned: TrainedClassifier, found: dict[str, Evaluation]) -> dict[str, float]:
    metrics = {
        "seconds_training": learned.seconds,
        "peak_memory": _peak_memory(),
        "best_epoch": learned.best_epoch,
        "best_epoch_share": learned.share,
    }
    for split, evaluation in found.items():
        metrics |= evaluation.to_metrics(split)
    probed = [row for row in learned.history if row.phase == PROBE]
    if probed:
        metrics["probe_validation_top1"] = min(probed, key=lambda row: row.val_loss).val_top1
    return metrics


def _peak_memory() -> float:
    """The most memory that this process has held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
