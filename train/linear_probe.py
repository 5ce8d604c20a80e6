"""Linear probe: a head is fitted to the features of the frozen backbone. Imports Keras."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras

from tledge.core.number_text import counted
from tledge.core.progress import Progress, Step
from tledge.core.splits import Splits
from tledge.train.feature_cache import FeatureCache, FeatureKey, Features, fingerprint_of
from tledge.train.history import Epoch, probe_top1
from tledge.train.logistic_head import INVERSE_STRENGTHS, fit_head
from tledge.train.model import feature_extractor
from tledge.train.train_settings import Settings


def train_linear_probe(
    model: Any,
    splits: Splits,
    *,
    settings: Settings,
    class_weights: Features,
    weights_sha256: str,
    cache: Path,
    progress: Progress,
) -> tuple[Epoch, ...]:
    """Fits the layer ``logits`` of a classifier.

    Args:
        model: as ``train.model.build_classifier`` builds it, with the backbone's weights.
        class_weights: (classes,), the weight of a photo of each class.

    Returns:
        A row for each fit of the head, with another penalty each.
    """
    backbone = feature_extractor(model)
    store = FeatureCache(cache)
    keys = {
        samples: FeatureKey(
            data=fingerprint_of(samples),
            backbone=settings.backbone,
            alpha=settings.alpha,
            weights=weights_sha256,
            image_size=settings.image_size,
            resize=settings.resize,
            backend=keras.backend.backend(),
        )
        for samples in (splits.train, splits.validation)
    }
    missing = sum(store.missing(key, samples) for samples, key in keys.items())
    if store.discarded:
        progress.note("Features", f"discarded {counted(store.discarded, 'damaged cache files')}, computing them again")
    described = progress.step("Linear probe: features", missing, "photos") if missing else nullcontext(Step())
    with described as step:
        train, validation = (
            store.compute(key, samples, backbone=backbone, splits=splits, step=step) for samples, key in keys.items()
        )
    if missing == 0:
        progress.note("Features", "from the cache of an earlier run")
    store.prune()
    with progress.step("Linear probe: head", len(INVERSE_STRENGTHS), "fits") as step:
        head, history = fit_head(
            train,
            validation,
            class_weights=class_weights,
            passes=settings.probe_epochs,
            on_fit=lambda row: step.advance(1, f"loss {row.val_loss:.3f}  val top-1 {row.val_top1:.3f}"),
        )
        step.finish(f"best val top-1 {probe_top1(history)['probe_validation_top1']:.3f}")
    model.get_layer("logits").set_weights([head.kernel, head.bias])
    return history
