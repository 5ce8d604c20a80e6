"""The end of a training: evaluation, the model file, the model card and ``run.json``. Imports Keras."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import Any

from tledge.attacks.loss_gradients import GradientModel
from tledge.core.environment import installed_versions
from tledge.core.manifest import RunManifest
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Splits
from tledge.train.evaluation import evaluate, evaluate_under_attack
from tledge.train.history import probe_top1, write_history
from tledge.train.model import DISTRIBUTIONS, save_model
from tledge.train.phases import TrainedClassifier
from tledge.train.report.evaluation_record import write_evaluation
from tledge.train.report.model_card import write_model_card
from tledge.train.report.training_plots import draw_confusion, draw_training_curves
from tledge.train.resume import UnfinishedRun
from tledge.train.train_settings import Settings


def finish_run(
    run: RunDirectory, unfinished: UnfinishedRun, *, splits: Splits, trained: TrainedClassifier, progress: Progress
) -> RunManifest:
    """Evaluates a trained classifier, saves it, and writes ``run.json`` last; returns its content."""
    settings, rule = unfinished.settings, unfinished.settings.resize_rule
    with progress.step("Evaluate", len(splits.validation) + len(splits.test), "photos") as step:
        validation = evaluate(trained.model, splits, "validation", **rule, step=step)
        temperature = validation.temperature
        head = trained.model.get_layer("logits")  # calibrated scores, the same predictions
        head.set_weights([values / temperature for values in head.get_weights()])
        validation = validation.at_temperature(temperature)
        test = evaluate(trained.model, splits, "test", **rule, step=step)
    history = trained.epochs.history
    write_history(run.history, history)
    manifest = RunManifest(
        name=run.path.name,
        created=unfinished.created,
        backbone=settings.backbone,
        weights=trained.weights,
        class_names=splits.class_names,
        input_size=settings.input_size,
        resize=settings.resize,
        seed=settings.seed,
        config=settings.to_dict(),
        data=unfinished.data,
        device=trained.device,
        versions=installed_versions(DISTRIBUTIONS),
        metrics={
            "seconds_training": trained.seconds,
            "peak_memory": _peak_memory(),
            "best_epoch": trained.epochs.best_epoch,
            "best_epoch_share": trained.epochs.share,
            **validation.to_metrics("validation"),
            **test.to_metrics("test"),
            **probe_top1(history),
            **_robustness(trained.model, splits, settings),
            "temperature": temperature,
        },
        model_sha256=save_model(
            run.model,
            trained.model,
            splits.class_names,
            source_run=run.path.name,
            seen_photos=splits.seen_photos,
            **rule,
        ),
    )
    write_evaluation(run.evaluation, test, splits.class_names)
    curves, confusion = run.figures / "training.png", run.figures / "confusion.png"
    epochs = trained.epochs
    draw_training_curves(curves, history, best_epoch=epochs.best_epoch, share=epochs.share, augmented=settings.augment)
    draw_confusion(confusion, test.confusion, splits.class_names)
    figures = (("Loss and top-1 over the epochs", curves), ("Confusion matrix of the test split", confusion))
    write_model_card(run.model_card, manifest, settings=settings, epochs=history, evaluation=test, figures=figures)
    manifest.save(run.manifest_path)
    return run.manifest()


def _robustness(model: Any, splits: Splits, settings: Settings) -> Mapping[str, float]:
    """Returns the accuracy on validation photos under attack, with its 95% interval; empty without one."""
    eps = settings.adversarial
    if eps is None:
        return {}
    _, attacked = evaluate_under_attack(GradientModel(model), splits, "validation", eps=eps, **settings.resize_rule)
    low, high = attacked.top1_interval
    name = "validation_robust_accuracy"
    return {name: attacked.top1, f"{name}_low": low, f"{name}_high": high}


def _peak_memory() -> float:
    """Returns the peak memory of this process, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
