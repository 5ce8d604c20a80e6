"""The plan of a training: steps, images, learning rate and sparsity."""

from dataclasses import replace

import pytest

from tledge.core.errors import ConversionError
from tledge.export.tfmot.graph import Node
from tledge.export.tfmot.job import (
    Job,
    JobPhotos,
    SparsityRamp,
    TrainingReport,
    TrainingRequest,
    TuningEpoch,
    TuningOptions,
)

pytestmark = pytest.mark.unit

OPTIONS = TuningOptions(size=(16, 24), resize="crop", seed=7, epochs=5, learning_rate=0.8)


def photos(count: int) -> JobPhotos:
    return JobPhotos(paths=("photo.jpg",) * count, labels=(0,) * count)


def job(train: int, *, validation: int = 10, sparsity: float | None = 0.5, epochs: int = 5) -> Job:
    options = replace(OPTIONS, epochs=epochs)
    return Job(sparsity=sparsity, train=photos(train), validation=photos(validation), options=options)


@pytest.mark.parametrize(("train", "steps"), [(1, 1), (32, 1), (33, 2), (64, 2)])
def test_the_last_batch_of_an_epoch_may_be_smaller(train: int, steps: int) -> None:
    assert job(train).steps_per_epoch == steps


@pytest.mark.parametrize(
    ("sparsity", "train", "images"),
    [(0.5, 300, 5 * 310), (None, 300, 5 * 310 + 256 + 10), (None, 256, 5 * 266 + 266), (None, 100, 5 * 110 + 110)],
)
def test_quantization_also_calibrates_and_evaluates_before_training(
    sparsity: float | None, train: int, images: int
) -> None:
    assert job(train, sparsity=sparsity).images == images


def test_the_label_names_the_training() -> None:
    assert (job(1, sparsity=None).label, job(1).label) == ("Quantization-aware training", "Pruning")


@pytest.mark.parametrize(("progress", "rate"), [(0.0, 0.0), (0.05, 0.4), (0.1, 0.8), (0.55, 0.4), (1.0, 0.0)])
def test_the_learning_rate_rises_over_a_tenth_and_falls_along_a_cosine(progress: float, rate: float) -> None:
    assert job(1).learning_rate_at(progress) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("train", "epochs", "ramp"),
    [
        # 40 steps: too few for 20 updates of 2 steps in the first half.
        (32 * 10, 4, SparsityRamp(end=20, frequency=1, first_full_epoch=3)),
        (32 * 10, 2, SparsityRamp(end=0, frequency=1, first_full_epoch=1)),
        (32 * 7, 3, SparsityRamp(end=20, frequency=1, first_full_epoch=3)),
        (32 * 20, 4, SparsityRamp(end=40, frequency=2, first_full_epoch=3)),
        (32 * 21, 4, SparsityRamp(end=40, frequency=2, first_full_epoch=2)),
        (32 * 100, 4, SparsityRamp(end=200, frequency=10, first_full_epoch=3)),
        (32, 1, SparsityRamp(end=0, frequency=1, first_full_epoch=1)),
    ],
)
def test_the_sparsity_grows_over_the_first_half(train: int, epochs: int, ramp: SparsityRamp) -> None:
    assert SparsityRamp.of_job(job(train, epochs=epochs)) == ramp


def test_a_request_and_a_report_are_read_as_they_were_written() -> None:
    node = Node("conv", "Conv2D", {"kernel_size": [3, 3], "use_bias": True}, ("image",), (None, None, 4))
    request = TrainingRequest(folder="/folder", job=job(2, sparsity=None), size=(16, 24), nodes=(node,))
    assert TrainingRequest.from_json(request.to_json(), "request") == request
    epoch = TuningEpoch(epoch=0, train_loss=None, loss=1.5, top1=0.5, agreement=1.0, kept=True)
    report = TrainingReport(history=(epoch,), ranges={"image": (0.0, 255.0)}, pruned=("conv",))
    assert TrainingReport.from_json(report.to_json(), "report") == report
    with pytest.raises(ConversionError, match="cannot read 'report'"):
        TrainingReport.from_dict({**report.to_dict(), "pruned": 3}, "report")
