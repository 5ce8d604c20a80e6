"""Accuracy as a contract: the smallest artifact that loses no more top-1 than is allowed.

Every 8-bit recipe is tried. Where none keeps the contract, layers of ``int8`` stay in float32, the most sensitive
ones first and one more in each trial, until it does.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from tledge.core.artifact import Artifact
from tledge.core.errors import ConversionError
from tledge.export.artifact_maker import ArtifactMaker, faults, translated
from tledge.export.export_record import ExportedArtifact, MaxDropSearch, Trial
from tledge.export.format import FORMATS, Quantizer
from tledge.export.keras_parity import Reference
from tledge.export.median_latency import median_latencies
from tledge.export.recipes import Recipe, find_recipe

SENSITIVITY_IMAGES = 32

CHECKED_ALREADY = 100.0
"""Points of top-1 on the sample of the validation split, where the whole of it has been looked at."""

SAME_SIZE = 1.05
"""Artifacts of up to so many times the smallest one's size are told apart by their latency."""


def search(
    maker: ArtifactMaker, kind: str, candidates: Sequence[Recipe], max_drop: float
) -> tuple[ExportedArtifact, MaxDropSearch]:
    """Finds and puts in place the artifact of one format that keeps a contract.

    Args:
        maker: of the run.
        kind: the format.
        candidates: the recipes to try.
        max_drop: points of top-1 that it may lose against the Keras model on the validation split.

    Raises:
        ConversionError: nothing keeps it.
    """
    began = time.perf_counter()
    folder = maker.directory.artifacts
    with ExitStack() as stack:
        trials: list[Trial] = []
        keeping: dict[int, Artifact] = {}

        def attempt(content: bytes, recipe: Recipe, float_layers: tuple[str, ...]) -> Trial:
            name = f"{recipe.name}-mixed" if float_layers else recipe.name
            aside = ExitStack()
            artifact = aside.enter_context(maker.aside(folder / f"{name}.{kind}", content, recipe, float_layers))
            size = artifact.size
            with aside:  # what does not keep the contract goes at once
                parity = maker.validation.compare(artifact.path)
                kept = not faults(recipe, parity, max_drop)
                if kept:
                    keeping[len(trials)] = artifact
                    stack.push(aside.pop_all())
            trials.append(
                Trial(
                    recipe=recipe.name,
                    float_layers=float_layers,
                    drop=parity.drop,
                    size=size,
                    latency=None,
                    kept=kept,
                )
            )
            return trials[-1]

        with maker.progress.step(f"Contract for {kind}", len(candidates), "recipes") as step:
            for recipe in candidates:
                try:
                    trial = attempt(maker.convert(kind, recipe), recipe, ())
                    step.advance(1, f"{recipe.name} loses {trial.drop:.2f} points")
                except ConversionError as error:  # a recipe that cannot express this model is none to choose
                    step.advance(1, f"{recipe.name} left out: {error}")
        sensitivity = () if keeping else _leave_in_float(maker, kind, attempt)
        if not keeping:
            least = f"; the best loses {min(trial.drop for trial in trials):.2f}" if trials else ""
            raise ConversionError(
                f"no {kind} artifact in 8 bits loses at most {max_drop:g} points of top-1 on"
                f" {len(maker.splits.validation)} validation photos{least}: allow more, or export --quantize float16"
            )
        latencies = median_latencies([artifact.path for artifact in keeping.values()])
        for place, latency in zip(keeping, latencies, strict=True):
            trials[place] = dataclasses.replace(trials[place], latency=latency)
        best = keeping[_best(trials, tuple(keeping))]
        exported = maker.put_in_place(
            best, folder / best.name, seconds=time.perf_counter() - began, largest_drop=CHECKED_ALREADY
        )
    return exported, MaxDropSearch(
        format=kind,
        max_drop=max_drop,
        images=len(maker.splits.validation),
        trials=tuple(trials),
        sensitivity=sensitivity,
        chosen=exported.path.name,
    )


def _leave_in_float(
    maker: ArtifactMaker, kind: str, attempt: Callable[[bytes, Recipe, tuple[str, ...]], Trial]
) -> tuple[tuple[str, float], ...]:
    """Tries int8 with one more layer in float32 each time, until it keeps the contract; returns the sensitivities."""
    quantizer = FORMATS.load(kind).quantizer(maker.calibrated, maker.terms.cpu)
    sensitivity = _measure_sensitivity(maker, kind, quantizer)
    with maker.progress.step(f"Layers in float for {kind}", len(sensitivity), "layers") as step:
        for count in range(1, len(sensitivity) + 1):
            layers = tuple(name for name, _ in sensitivity[:count])
            content = translated(kind, "int8", partial(quantizer.quantize, frozenset(layers)))
            trial = attempt(content, find_recipe("int8"), layers)
            step.advance(1, f"{count} in float lose {trial.drop:.2f} points")
            if trial.kept:
                break
    return sensitivity


def _best(trials: Sequence[Trial], keeping: Sequence[int]) -> int:
    """The smallest, and of those that are hardly larger the fastest."""
    smallest = min(trials[place].size for place in keeping)
    small = [place for place in keeping if trials[place].size <= SAME_SIZE * smallest]
    return min(small, key=lambda place: trials[place].latency or 0.0)


def _measure_sensitivity(maker: ArtifactMaker, kind: str, quantizer: Quantizer) -> tuple[tuple[str, float], ...]:
    """By layer, the noise in the logits where it is the only one in integers; the largest first."""
    layers = [layer.name for layer in maker.model.layers if _has_kernel(layer)]
    everything = frozenset(layers)
    reference = maker.reference.first(SENSITIVITY_IMAGES)
    found: dict[str, float] = {}
    with maker.progress.step(f"Sensitivity for {kind}", len(layers), "layers") as step:
        for name in layers:
            content = translated(kind, "int8", partial(quantizer.quantize, everything - {name}))
            with maker.aside(_place(maker, kind), content, find_recipe("int8")) as artifact:
                found[name] = _noise(reference, artifact.path)
            step.advance(1, name)
    return tuple(sorted(found.items(), key=lambda item: -item[1]))


def _place(maker: ArtifactMaker, kind: str) -> Path:
    return maker.directory.artifacts / f"sensitivity.{kind}"


def _has_kernel(layer: object) -> bool:
    import keras

    return isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense)


def _noise(reference: Reference, artifact: Path) -> float:
    ratio = reference.compare(artifact).signal_to_noise
    return 0.0 if ratio is None else float(np.power(10.0, -ratio / 10))
