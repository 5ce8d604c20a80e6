"""The child process: ``python -m tledge.export.tfmot.tfmot_worker FOLDER``, with ``TF_USE_LEGACY_KERAS=1``.

It reads the job and the graph from the folder, trains, and leaves the weights, the outcome and, of quantization-aware
training, a TFLite file there. Its standard output is one line of JSON for each thing that the parent is told.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.atomic import write_bytes
from tledge.core.errors import TledgeError
from tledge.core.image_batches import batches
from tledge.export.tfmot import quantization
from tledge.export.tfmot.distillation import Lesson, say
from tledge.export.tfmot.graph import Graph, Weights, save_weights
from tledge.export.tfmot.job import CALIBRATION_IMAGES, PROBE, TFLITE, TRAINED, Job, TrainingReport
from tledge.export.tfmot.legacy_model import build, check_same
from tledge.export.tfmot.pruning import Pruning
from tledge.export.tfmot.quantizable import plan_quantization, preprocessing_of, to_integers


def main(folder: Path) -> int:
    """Does the job in ``folder``; returns the exit code."""
    try:
        _work(folder)
    except TledgeError as error:
        say(error=str(error))
        return 1
    return 0


def _work(folder: Path) -> None:
    import tensorflow as tf
    import tf_keras

    job, graph = Job.load(folder), Graph.load(folder)
    tf_keras.utils.set_random_seed(job.seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    teacher = build(graph)
    with np.load(folder / PROBE) as probe:
        check_same(teacher, dict(probe))
    if job.sparsity is None:
        _quantize(job, graph, teacher, folder)
    else:
        _prune(job, graph, teacher, folder)


def _quantize(job: Job, graph: Graph, teacher: Any, folder: Path) -> None:
    scheme = plan_quantization(graph)
    model = quantization.quantize(scheme)
    chosen = np.random.default_rng(job.seed).permutation(len(job.train.paths))[:CALIBRATION_IMAGES]
    paths = [Path(job.train.paths[place]) for place in chosen]
    quantization.calibrate(model, scheme, _counted(batches(paths, job.size, job.resize, job.batch_size)))
    lesson = Lesson(
        job=job,
        model=model,
        teacher=teacher,
        variables=quantization.learnt_variables(model, scheme.fixed),
        zeros_stay=True,  # of a pruned model
    )
    history = lesson.learn(first_judged=0)
    weights, ranges = quantization.read_weights(model), quantization.read_ranges(model, scheme)
    write_bytes(folder / TFLITE, quantization.convert(to_integers(scheme, weights, ranges)))
    _hand_back(folder, graph, {name: arrays for name, arrays in weights.items() if name not in scheme.fixed})
    TrainingReport(history=history, ranges=ranges, pruned=()).save(folder)


def _prune(job: Job, graph: Graph, teacher: Any, folder: Path) -> None:
    fixed = preprocessing_of(graph)
    pruning = Pruning(graph, job, fixed)
    lesson = Lesson(
        job=job,
        model=pruning.model,
        teacher=teacher,
        variables=quantization.learnt_variables(pruning.model, fixed),
        before_step=pruning.before_step,
        after_epoch=pruning.after_epoch,
    )
    history = lesson.learn(first_judged=pruning.first_full_epoch)
    _hand_back(folder, graph, pruning.weights())
    TrainingReport(history=history, ranges={}, pruned=pruning.pruned).save(folder)


def _hand_back(folder: Path, graph: Graph, weights: Weights) -> None:
    save_weights(folder / TRAINED, {**graph.weights, **weights})


def _counted(loaded: Any) -> Any:
    for batch in loaded:
        yield batch
        say(images=len(batch), detail="calibration")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
