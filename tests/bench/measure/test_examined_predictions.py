"""Which predictions of a benchmark are examined, and what is advised for models that tledge exported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import TINY_SIDECAR

from tledge.bench.measure.preprocessing_trials import explain_predictions
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.workload import Model, Workload
from tledge.cli.messages import translate
from tledge.core.artifact import Artifact
from tledge.core.progress import Progress
from tledge.core.seen_photos import SeenPhotos
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit

LABELS = np.repeat([0, 1], 30)
RIGHT, SWAPPED, SAME = np.eye(2)[LABELS], np.eye(2)[1 - LABELS], np.eye(2)[np.zeros(60, int)]


class Result:
    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits


def explain(answers: dict[str, np.ndarray], *, data: str = "photos", seen: SeenPhotos | None = None) -> list[str]:
    sidecar = replace(TINY_SIDECAR, class_names=("cat", "dog"), seen_photos=seen)
    model = Model(Path("m.onnx"), "m.onnx", Artifact(Path("m.onnx"), "onnx", sidecar))
    workload = Workload(
        title="",
        folder=Path(),
        models=(model,),
        photos=(Path(),) * 60,
        labels=tuple(LABELS.tolist()),
        class_names=("cat", "dog"),
        data=data,
    )
    results: dict[Cell, CellResult] = {
        Cell(model, Target.parse(target)): Result(logits)  # type: ignore[misc]
        for target, logits in answers.items()
    }
    return explain_predictions(results, workload, here=True, progress=Progress())


def test_every_target_whose_predictions_differ_is_examined() -> None:
    assert explain({"onnxruntime:cpu:1": RIGHT, "onnxruntime:cpu:2": RIGHT}) == []
    for first, second in (("1", "2"), ("2", "1")):
        (doubt,) = explain({f"onnxruntime:cpu:{first}": SAME, f"onnxruntime:cpu:{second}": RIGHT})
        assert doubt == f"m.onnx on onnxruntime:cpu:{first}: it predicts 'cat' for 60 of 60 photos."
    assert explain({"onnxruntime:cpu:1": SAME, "onnxruntime:cpu:2": SAME}) == [
        "m.onnx: it predicts 'cat' for 60 of 60 photos."
    ]


def test_swapped_labels_of_an_exported_model_point_to_the_folders() -> None:
    seen = SeenPhotos(photos=1, stored=1, appearance=True, keys="AAAA")
    (doubt,) = explain({"onnxruntime:cpu:1": SWAPPED}, seen=seen)
    assert doubt.endswith(
        "; with its classes in the order dog, cat, top-1 would be 1.000 instead of 0.000 (30 photos); check which"
        " photos are in which folder of `data`."
    )
    (doubt,) = explain({"onnxruntime:cpu:1": SWAPPED}, data="")
    assert "in which folder of the data set, or give an imported model its labels: `export(model='MODEL'" in doubt
    assert "tledge export --model MODEL --labels LABELS" in translate(doubt, "bench")
