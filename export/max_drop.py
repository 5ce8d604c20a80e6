"""Finds the smallest artifact that loses no more top-1 than allowed.

All 8-bit recipes are tried first. If none stays within the limit, layers of ``int8`` are left in float32, the most
sensitive first and one more in each trial, until the artifact does.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tledge.core.artifact import Artifact
from tledge.core.errors import ConversionError
from tledge.export.artifact_maker import ArtifactMaker
from tledge.export.export_record import ExportedArtifact, MaxDropSearch, Trial
from tledge.export.format import Quantizer, call_converter
from tledge.export.keras_parity import rejection_reasons
from tledge.export.median_latency import median_latencies
from tledge.export.recipes import Recipe, find_recipe

SENSITIVITY_IMAGES = 32
"""Validation photos on which the sensitivity of each layer is measured."""

ANY_DROP = 100.0
"""Points of top-1: an artifact that was checked on the whole validation split may lose any number on a sample of it."""

SAME_SIZE = 1.05
"""Among artifacts up to this many times the smallest one's size, the fastest is chosen."""


def search_artifact(
    maker: ArtifactMaker, kind: str, *, candidates: Sequence[Recipe], max_drop: float
) -> tuple[ExportedArtifact, MaxDropSearch]:
    """Finds and saves the best artifact of one format that loses no more top-1 than allowed.

    Args:
        max_drop: points of top-1 that it may lose against the Keras model on the validation split.

    Raises:
        ConversionError: every artifact loses more, or none can be made.
    """
    started = time.perf_counter()
    folder, photos = maker.directory.artifacts, len(maker.splits.validation)
    with ExitStack() as stack:
        search = _Search(maker, kind, max_drop, stack)
        search.try_recipes(candidates)
        sensitivity = () if search.accepted else search.try_float_layers()
        trials, accepted = search.trials, search.accepted
        if not accepted:
            if not trials:
                reasons = "; ".join(search.skipped)
                raise ConversionError(
                    f"no 8-bit {kind} artifact can be made ({reasons}): try `export(quantize='float16')`"
                )
            raise ConversionError(
                f"every 8-bit {kind} artifact loses more than {max_drop:g} points of top-1 on {photos} validation"
                f" photos; the best loses {min(trial.drop for trial in trials):.2f}: raise `max_drop`, or"
                " `export(quantize='float16')`"
            )
        measured = median_latencies([artifact.path for artifact in accepted.values()])
        latencies = dict(zip(accepted, measured, strict=True))
        for index, latency in latencies.items():
            trials[index] = dataclasses.replace(trials[index], latency=latency)
        best = accepted[best_trial({index: trials[index].size for index in accepted}, latencies)]
        exported = maker.publish(best, folder / best.name, seconds=time.perf_counter() - started, max_drop=ANY_DROP)
    return exported, MaxDropSearch(
        format=kind,
        max_drop=max_drop,
        images=photos,
        trials=tuple(trials),
        sensitivity=sensitivity,
        chosen=exported.path.name,
    )


def best_trial(sizes: Mapping[int, int], latencies: Mapping[int, float]) -> int:
    """Returns the index of the smallest trial; the fastest one where several are about as small.

    Args:
        sizes: bytes by index.
        latencies: milliseconds by index.
    """
    limit = SAME_SIZE * min(sizes.values())
    return min((index for index, size in sizes.items() if size <= limit), key=latencies.__getitem__)


def noise_to_signal(decibels: float | None) -> float:
    """Returns the power of the noise as a fraction of the signal's, from a signal-to-noise ratio; None is no noise."""
    return 0.0 if decibels is None else float(10 ** (-decibels / 10))


class _Search:
    """The trials of one search.

    Args:
        stack: keeps the accepted artifacts until it closes.

    Attributes:
        accepted: the artifacts that lose no more than allowed, by the index of their trial.
        skipped: the recipes that do not support the model, each with the reason.
    """

    def __init__(self, maker: ArtifactMaker, kind: str, max_drop: float, stack: ExitStack) -> None:
        self.trials: list[Trial] = []
        self.accepted: dict[int, Artifact] = {}
        self.skipped: list[str] = []
        self._maker = maker
        self._kind = kind
        self._max_drop = max_drop
        self._stack = stack

    def try_recipes(self, candidates: Sequence[Recipe]) -> None:
        """Tries each recipe that supports the model."""
        with self._maker.progress.step(f"Smallest {self._kind}", len(candidates), "recipes") as step:
            for recipe in candidates:
                step.begin(recipe.name)
                try:
                    trial = self._try(self._maker.convert(self._kind, recipe), recipe, ())
                    step.advance(1, f"{recipe.name} loses {trial.drop:.2f} points")
                except ConversionError as error:
                    self.skipped.append(f"{recipe.name}: {error}")
                    step.advance(1, f"{recipe.name} skipped: {error}")

    def try_float_layers(self) -> tuple[tuple[str, float], ...]:
        """Tries int8 with one more layer in float32 each time, until one is accepted.

        Returns:
            The sensitivity of each layer, see ``MaxDropSearch``.
        """
        quantizer = self._maker.quantizer(self._kind)
        sensitivity = self._measure_sensitivity(quantizer)
        with self._maker.progress.step(f"Float32 layers for {self._kind}", len(sensitivity), "layers") as step:
            for count in range(1, len(sensitivity) + 1):
                layers = tuple(name for name, _ in sensitivity[:count])
                content = call_converter(self._kind, "int8", partial(quantizer.quantize, frozenset(layers)))
                trial = self._try(content, find_recipe("int8"), layers)
                step.advance(1, f"{count} in float32: loses {trial.drop:.2f} points")
                if trial.kept:
                    break
        return sensitivity

    def _try(self, content: bytes, recipe: Recipe, float_layers: tuple[str, ...]) -> Trial:
        """Measures a model file on the validation split; keeps its artifact if it is accepted."""
        name = f"{recipe.name}-mixed" if float_layers else recipe.name
        path = self._path(name)
        with ExitStack() as stack:
            artifact = stack.enter_context(self._maker.staged(path, content, recipe, float_layers))
            parity = self._maker.validation.compare(artifact.path)
            accepted = not rejection_reasons(recipe, parity, self._max_drop)
            trial = Trial(
                recipe=recipe.name,
                float_layers=float_layers,
                drop=parity.drop,
                size=artifact.size,
                latency=None,
                kept=accepted,
            )
            if accepted:
                self.accepted[len(self.trials)] = artifact
                self._stack.push(stack.pop_all())
        self.trials.append(trial)
        return trial

    def _measure_sensitivity(self, quantizer: Quantizer) -> tuple[tuple[str, float], ...]:
        """Returns the noise in the logits when one layer alone is quantized, by layer, the largest first."""
        layers = self._maker.kernel_layers()
        reference = self._maker.reference.first(SENSITIVITY_IMAGES)
        noise: dict[str, float] = {}
        with self._maker.progress.step(f"Sensitivity for {self._kind}", len(layers), "layers") as step:
            for name in layers:
                quantize = partial(quantizer.quantize, frozenset(layers) - {name})
                content = call_converter(self._kind, "int8", quantize)
                with self._maker.staged(self._path("sensitivity"), content, find_recipe("int8")) as artifact:
                    noise[name] = noise_to_signal(reference.compare(artifact.path).signal_to_noise)
                step.advance(1, name)
        return tuple(sorted(noise.items(), key=lambda item: -item[1]))

    def _path(self, name: str) -> Path:
        return self._maker.directory.artifacts / f"{name}.{self._kind}"
