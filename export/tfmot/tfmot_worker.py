"""The child process of :mod:`trained_models`; it runs with ``TF_USE_LEGACY_KERAS=1``.

It trains as a ``TrainingRequest`` says, writes the weights and, after quantization-aware training, a TFLite file to
the request's folder, and returns a ``TrainingReport``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.array_file import open_arrays
from tledge.core.atomic import write_bytes
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.progress import Progress, Step
from tledge.core.worker_child import serve
from tledge.export.tfmot.graph import Graph, load_weights, save_weights
from tledge.export.tfmot.job import (
    CALIBRATION_IMAGES,
    PROBE,
    TFLITE,
    TRAINED,
    WEIGHTS,
    Job,
    TrainingReport,
    TrainingRequest,
)
from tledge.export.tfmot.quantization_plan import plan_quantization, preprocessing_of, to_integers


def run_request(fields: Any, progress: Progress) -> dict[str, Any]:
    """Does what a ``TrainingRequest`` asks; returns a ``TrainingReport``, both as dictionaries."""
    import tensorflow as tf
    import tf_keras

    from tledge.export.tfmot.legacy_model import build, check_same

    request = TrainingRequest.from_dict(fields, "the request")
    job, folder = request.job, Path(request.folder)
    graph = Graph(size=request.size, nodes=request.nodes, weights=load_weights(folder / WEIGHTS))
    tf_keras.utils.set_random_seed(job.options.seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    teacher = build(graph)
    with open_arrays(folder / PROBE) as probe:
        check_same(teacher, dict(probe))
    with progress.step(job.label, job.images, "images") as step:
        run = _train_quantized if job.sparsity is None else _prune
        return run(job, graph, teacher, folder, step).to_dict()


def _train_quantized(job: Job, graph: Graph, teacher: Any, folder: Path, step: Step) -> TrainingReport:
    from tledge.export.tfmot import fake_quantization
    from tledge.export.tfmot.distillation import Distillation

    plan = plan_quantization(graph)
    model = fake_quantization.quantize(plan)
    chosen = np.random.default_rng(job.options.seed).permutation(len(job.train.paths))[:CALIBRATION_IMAGES]
    paths = [Path(job.train.paths[index]) for index in chosen]
    photos = batches(paths, job.options.size, job.options.resize, job.batch_size)
    fake_quantization.calibrate(model, plan, _counted(photos, step))
    history = Distillation(
        job=job,
        model=model,
        teacher=teacher,
        variables=fake_quantization.trained_variables(model, plan.fixed),
        step=step,
        keep_zeros=True,  # of a pruned model
    ).train(first_candidate=0)
    weights, ranges = fake_quantization.read_weights(model), fake_quantization.read_ranges(model, plan)
    write_bytes(folder / TFLITE, fake_quantization.convert(to_integers(plan, weights, ranges)))
    trained = {name: arrays for name, arrays in weights.items() if name not in plan.fixed}
    save_weights(folder / TRAINED, {**graph.weights, **trained})
    return TrainingReport(history=history, ranges=ranges, pruned=())


def _prune(job: Job, graph: Graph, teacher: Any, folder: Path, step: Step) -> TrainingReport:
    from tledge.export.tfmot.distillation import Distillation
    from tledge.export.tfmot.fake_quantization import trained_variables
    from tledge.export.tfmot.pruning import Pruning

    fixed = preprocessing_of(graph)
    pruning = Pruning(graph, job, fixed)
    history = Distillation(
        job=job,
        model=pruning.model,
        teacher=teacher,
        variables=trained_variables(pruning.model, fixed),
        step=step,
        before_step=pruning.before_step,
        after_epoch=pruning.after_epoch,
    ).train(first_candidate=pruning.first_full_epoch)
    save_weights(folder / TRAINED, {**graph.weights, **pruning.weights()})
    return TrainingReport(history=history, ranges={}, pruned=pruning.pruned)


def _counted(loaded: Iterator[Pixels], step: Step) -> Iterator[Pixels]:
    for batch in loaded:
        yield batch
        step.advance(len(batch), "calibration")


if __name__ == "__main__":
    sys.exit(serve(run_request))
