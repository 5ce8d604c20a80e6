"""Which artifacts of a run are measured, and which metrics a budget may limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tledge.bench.places import measured_metrics
from tledge.bench.places.measured_metrics import MeasuredMetrics
from tledge.bench.results.bench_options import BenchOptions
from tledge.bench.results.budget import parse_budget
from tledge.bench.results.workload import Model, Workload, select_names
from tledge.bench.results.workload_lookup import find_workload
from tledge.core.errors import ArtifactError, OptionError
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory, find_model_file
from tledge.edge_runtime.runtime import RUNTIMES

pytestmark = pytest.mark.unit

NAMES = ["model.keras", "float32.tflite", "int8.tflite", "int16x8.tflite", "float32.onnx"]


@pytest.mark.parametrize(
    ("wanted", "skip", "left"),
    [
        ([], [], NAMES),
        (["int8.tflite"], [], ["int8.tflite"]),
        (["float32.*", "int8.tflite"], [], ["float32.tflite", "int8.tflite", "float32.onnx"]),
        ([], ["int16x8.tflite"], ["model.keras", "float32.tflite", "int8.tflite", "float32.onnx"]),
        (["*.tflite"], ["int*"], ["float32.tflite"]),
        (["*.onnx"], ["int8.tflite"], ["float32.onnx"]),
        ([], ["*.tflite", "*.onnx"], ["model.keras"]),
    ],
)
def test_names_and_patterns_choose_artifacts_in_the_runs_order(
    wanted: Sequence[str], skip: Sequence[str], left: Sequence[str]
) -> None:
    assert select_names(NAMES, wanted, skip) == left


@pytest.mark.parametrize(
    ("wanted", "skip", "words"),
    [
        (["int9.tflite"], [], r"`artifacts='int9.tflite'` matches no artifact of the run; it has model.keras, .*int8"),
        (["int8.tflite", "*.pt"], [], r"`artifacts='\*.pt'` matches"),
        ([], ["gone"], "`skip='gone'` matches no artifact"),
        (["Int8.tflite"], [], "`artifacts='Int8.tflite'` matches"),
        (["int8.tflite"], ["int*"], r"`skip` leaves out every artifact \(int8.tflite\)"),
        ([], ["*"], "`skip` leaves out every artifact"),
    ],
)
def test_a_choice_of_nothing_is_an_error(wanted: Sequence[str], skip: Sequence[str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        select_names(NAMES, wanted, skip)


def test_the_keras_model_stays_the_reference_if_it_is_not_measured() -> None:
    models = tuple(Model(Path(name), name, None) for name in ("model.keras", "int8.tflite"))
    workload = Workload(title="", folder=Path(), models=models, photos=(), labels=(), class_names=())
    assert workload.measured == models
    reference = Workload(
        title="", folder=Path(), models=models, photos=(), labels=(), class_names=(), reference_only=True
    )
    assert (reference.measured, reference.models) == (models[1:], models)


@pytest.mark.parametrize("option", ["artifacts", "skip"])
def test_model_files_are_not_chosen_by_patterns(option: str) -> None:
    options: Any = {option: ["int8.tflite"]}
    with pytest.raises(OptionError, match=f"`{option}` chooses among the artifacts of a run"):
        find_workload(BenchOptions(files=["a.tflite"], **options), Progress())


def made_run(runs: Path, *names: str) -> RunDirectory:
    run = RunDirectory(runs / "run")
    run.artifacts.mkdir(parents=True)
    for path in (run.model, *(run.artifacts / name for name in names)):
        path.write_bytes(b"")
    run.mark_latest()
    return run


def test_a_bare_name_is_a_file_of_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model_file(Path("int8.tflite")) == Path("int8.tflite"), "there is no run"
    run = made_run(Path("runs"), "int8.tflite", "float32.onnx")
    assert find_model_file(Path("int8.tflite")) == run.artifacts / "int8.tflite"
    assert find_model_file(Path("model.keras")) == run.model
    assert find_model_file(Path("./sub/int8.tflite")) == Path("./sub/int8.tflite")
    assert find_model_file(Path("photo.jpg")) == Path("photo.jpg")
    with pytest.raises(ArtifactError, match=r"no model file 'int9.tflite', neither here nor in 'runs/run', which has"):
        find_model_file(Path("int9.tflite"))
    Path("int8.tflite").write_bytes(b"")
    assert find_model_file(Path("int8.tflite")) == Path("int8.tflite"), "a file here comes first"
    assert find_model_file(Path("float32.onnx"), Path("elsewhere")) == Path("float32.onnx")


def check(limit: str, *, photos: int = 9, run: str = "run", times: bool = True, **options: Any) -> None:
    """Checks a budget of one limit on a run whose Keras model can be measured, unless the options differ."""
    artifact: Any = SimpleNamespace(sha256="k" * 64)
    workload = Workload(
        title="",
        folder=Path(),
        models=(Model(Path("model.keras"), "model.keras", artifact),),
        photos=(Path("a.jpg"),) * photos,
        labels=(),
        class_names=(),
        run=run,
        fingerprint="photos",
        reference_only=options.get("reference_only", False),
    )
    robustness: Any = SimpleNamespace(attack_inputs=options.get("attacks"), corruptions=options.get("corruptions", ()))
    place: Any = SimpleNamespace(times=times, here=options.get("here", True))
    MeasuredMetrics(
        place=place,
        workload=workload,
        robustness=robustness,
        targets=options.get("targets", ()),
        folders=options.get("folders", ()),
    ).check(parse_budget([limit]))


@pytest.fixture(autouse=True)
def keras(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Keras counts as installed, whether it is or not."""
    with monkeypatch.context() as context:
        context.setattr(RUNTIMES.load("keras"), "missing", lambda: "", raising=True)
        yield context


EARLIER: Any = SimpleNamespace(reference=lambda sha256, photos: (sha256, photos) == ("k" * 64, "photos") or None)
OTHER: Any = SimpleNamespace(reference=lambda sha256, photos: None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"reference_only": True},
            "that model is not measured; add 'model.keras' to `artifacts`, or remove it from `skip`",
        ),
        ({"reference_only": True, "folders": (OTHER,)}, "no earlier benchmark has the Keras model's predictions, and"),
        ({"targets": ("litert:cpu:2",)}, "no target runs that model; add 'keras:cpu' to `targets`"),
    ],
)
def test_agreement_needs_the_keras_models_predictions(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check("agreement >= 0.9", **options)
    check("agreement >= 0.9", **{**options, "folders": (OTHER, EARLIER)})
    check("agreement >= 0.9", **{**options, "here": False})
    check("top1 >= 0.9", **options)


def test_agreement_without_keras_needs_an_earlier_benchmark(keras: pytest.MonkeyPatch) -> None:
    keras.setattr(RUNTIMES.load("keras"), "missing", lambda: "needs the library 'keras'")
    for here in (True, False):
        with pytest.raises(OptionError, match="its runtime needs the library 'keras'"):
            check("agreement >= 0.9", here=here)
        check("agreement >= 0.9", here=here, folders=(EARLIER,))
    check("agreement >= 0.9", here=True, targets=("keras:cpu",), folders=(EARLIER,))


@pytest.mark.parametrize(
    ("limit", "options", "words"),
    [
        ("top1 >= 0.9", {"photos": 0}, "accuracy needs labelled photos; name a folder of them with `data`"),
        ("agreement >= 0.9", {"photos": 0}, "`data`"),
        ("agreement >= 0.9", {"run": ""}, "measured in a run; leave out `files`, or limit top1"),
        ("robust_accuracy >= 0.4", {}, "nothing is attacked; name an attack, as in `attack='pgd'`"),
        ("corrupted_accuracy >= 0.4", {}, "`corruptions='edge'`"),
        ("mean_corruption_error <= 1", {}, "`corruptions='edge'`"),
        (
            "p90_ms <= 4",
            {"times": False},
            "nothing is timed on an emulated board; it measures top1",
        ),
        ("energy_mj <= 4", {}, "this machine has no energy counter that you may read"),
    ],
)
def test_limits_on_what_is_not_measured_name_the_remedy(
    limit: str, options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_metrics, "find_meter", lambda: None)
    with pytest.raises(OptionError, match=words) as caught:
        check(limit, **options)
    assert str(caught.value).startswith(f"`budget='{limit}'` cannot be judged: ")


def test_limits_on_what_is_measured_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_metrics, "find_meter", object)
    for limit in ("top1 >= 0.9", "agreement >= 0.9", "p90_ms <= 4", "energy_mj <= 4", "size_kb <= 9"):
        check(limit)
    check("top1 >= 0.9", times=False)
    check("robust_accuracy >= 0.4", attacks=object())
    check("corrupted_accuracy >= 0.4", corruptions=("fog",))
    check("agreement >= 0.9", photos=9)
    check("p90_ms <= 4", photos=0, run="")
