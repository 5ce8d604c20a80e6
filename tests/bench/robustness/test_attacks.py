"""Attacks on artifacts, by `tledge bench --attack` and `--attack-set`."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attacked_sample import NAMES, SIDECAR, write_attacked
from digit_sample import Digits
from support import check_one_line_error, tledge

from tledge.bench import BenchRecord, bench, summarize
from tledge.bench.results.settings import BenchSettings
from tledge.bench.robustness import white_box
from tledge.bench.robustness.attack_examples import RobustnessRecord
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.attack_set import AttackSet
from tledge.bench.robustness.robustness_cells import RobustnessCell
from tledge.core.artifact import read_artifact, write_artifact
from tledge.core.errors import ArtifactError, MeasurementError, OptionError
from tledge.core.measurement import Measurement, read_results
from tledge.core.options import given_options
from tledge.core.progress import Progress, Step
from tledge.edge_runtime import Classifier
from tledge.export.format import FORMATS
from tledge.export.recipes import RECIPES

WITHOUT_KERAS = {"PYTHONPATH": str(Path(__file__).parents[1] / "without_keras")}
EPS = (8.0, 32.0)
QUICK: Any = {"targets": ["litert:cpu:1", "keras:cpu"], "seconds": 0.02, "rounds": 1, "batch_sizes": (1,)}
SHORT = ("--seconds", "0.02", "--rounds", "1", "--batch-sizes", "1", "--target", "litert:cpu:1")


@pytest.fixture(scope="module")
def folder(network: Any, digit_sets: Sequence[Digits], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned digits, its float32 and float16 files, and photos in folders; not to be changed."""
    path = tmp_path_factory.mktemp("attacked")
    write_attacked(path, network, digit_sets)
    return path


@pytest.fixture(scope="module")
def record(folder: Path) -> BenchRecord:
    """A benchmark of all three files under PGD and Square."""
    return bench(
        files=[folder / "model.keras", folder / "float32.tflite", folder / "float16.tflite"],
        data=folder / "photos",
        output=folder / "out",
        attack=("pgd", "square"),
        eps=(32, 8),
        attack_images=20,
        attack_steps=5,
        attack_queries=60,
        **QUICK,
    )


def rows(record: BenchRecord, metric: str, artifact: str = "float16.tflite", **params: Any) -> list[Measurement]:
    return [
        item
        for item in read_results(record.results)
        if (item.metric, item.artifact) == (metric, artifact)
        and all(item.params.get(name) == value for name, value in params.items())
    ]


def test_robust_accuracy_is_that_of_the_artifact_on_the_saved_photos(record: BenchRecord, folder: Path) -> None:
    saved = AttackSet.load(record.folder.adversarial)
    labels = saved.photos.goal.labels
    assert np.bincount(labels).tolist() == [2] * 10
    with Classifier(folder / "float16.tflite", target="litert:cpu:1") as classifier:
        clean = classifier.logits(saved.photos.pixels).argmax(axis=1) == labels
        right = {}
        for item in saved.attacked:
            if item.attack == "pgd" or item.source == "float16.tflite":
                predicted = classifier.logits(item.shown(saved.photos.pixels)).argmax(axis=1)
                right[item.attack, item.threat.eps] = (predicted == labels) & clean
    for (attack, eps), hits in right.items():
        (row,) = rows(record, "robust_accuracy", attack=attack, eps=eps)
        assert row.value == hits.mean()
        assert row.interval is not None
        assert row.interval[0] <= row.value <= row.interval[1]
        (rate,) = rows(record, "attack_success_rate", attack=attack, eps=eps)
        assert rate.value == pytest.approx(1 - hits[clean].mean())
        assert rate.n == clean.sum()
    worst = right["pgd", 8.0] & right["square", 8.0]
    (row,) = rows(record, "robust_accuracy", attack="worst", eps=8.0)
    assert row.value == worst.mean()
    (row,) = rows(record, "robust_accuracy", attack="worst", eps=32.0)
    assert row.value == (worst & right["pgd", 32.0] & right["square", 32.0]).mean()
    assert row.value < clean.mean() - 0.3
    (row,) = rows(record, "robust_accuracy", attack="none")
    assert row.value == clean.mean()


def test_saved_photos_are_within_eps_and_shown_in_the_report(record: BenchRecord) -> None:
    saved = AttackSet.load(record.folder.adversarial)
    for item in saved.attacked:
        change = np.abs(item.shown(saved.photos.pixels).astype(int) - saved.photos.pixels)
        assert change.max() <= item.threat.eps
        assert item.attack != "pgd" or change.max() == item.threat.eps
    assert {item.source for item in saved.attacked if item.attack == "pgd"} == {"model.keras"}
    shown = RobustnessRecord.load(record.folder.robustness).examples
    assert shown
    for example in shown:
        assert example.before[0] == example.label
        assert example.after[0] != example.label
        assert all((record.folder.adversarial / name).is_file() for name in (example.original, example.attacked))
    page = record.folder.html.read_text()
    assert page.count('<figure class="triple">') == len(shown)
    assert page.count('src="data:image/png;base64,') == 3 * len(shown)
    assert "<h3>worst of all attacks, L∞</h3>" in page
    assert "<h3>pgd, transfer from model.keras, L∞</h3>" in page
    assert "<h3>square, direct, L∞</h3>" in page
    assert any(
        line.startswith("Robust accuracy under the worst of all attacks at L∞ eps 8/255") for line in record.conclusions
    )


def test_transfer_and_direct_attacks_are_separate(record: BenchRecord, folder: Path) -> None:
    attacks = {
        (item.artifact, item.params["attack"], item.params["setting"], item.params.get("source"))
        for item in read_results(record.results)
        if item.metric == "robust_accuracy" and item.params["attack"] not in ("none", "worst")
    }
    assert attacks == {
        ("model.keras", "pgd", "direct", "model.keras"),
        *((name, "pgd", "transfer", "model.keras") for name in ("float32.tflite", "float16.tflite")),
        *((name, "square", "direct", name) for name in ("float32.tflite", "float16.tflite")),
    }
    few, more = (rows(record, "attack_queries", attack="square", eps=eps)[0] for eps in EPS)
    assert 1 <= few.value <= 62
    assert few.value < more.value <= 124, "it goes on from the smaller eps"
    assert rows(record, "adversarial_distance", attack="pgd", eps=32.0)[0].value <= 32 * (32 * 32 * 3) ** 0.5
    saved = AttackSet.load(record.folder.adversarial)
    labels = saved.photos.goal.labels
    right = {}
    for name in ("float32.tflite", "float16.tflite"):
        (item,) = [each for each in saved.attacked if each.source == name and each.threat.eps == 32]
        with Classifier(folder / name, target="litert:cpu:1") as classifier:
            right[name] = classifier.logits(item.shown(saved.photos.pixels)).argmax(axis=1) == labels
    (row,) = rows(record, "robust_mcnemar", attack="square", setting="direct", eps=32.0)
    assert row.params["only_this_right"] == (right["float16.tflite"] & ~right["float32.tflite"]).sum()
    assert row.params["only_baseline_right"] == (right["float32.tflite"] & ~right["float16.tflite"]).sum()
    tests = rows(record, "robust_mcnemar", attack="worst")
    assert [item.params["eps"] for item in tests] == list(EPS)
    assert {item.params["against"] for item in tests} == {"float32.tflite"}
    row = next(row for row in summarize(record.measurements) if row.artifact == "float16.tflite")
    assert [point[0] for point in row.robust] == [0.0, *EPS]
    assert row.robust_norm == "linf"


def test_a_set_is_shown_on_a_device_without_keras_and_repeated(
    record: BenchRecord, folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "float16.tflite", tmp_path)
    shutil.copytree(record.folder.adversarial, tmp_path / "adversarial")
    done = tledge("bench", "float16.tflite", *SHORT, "--attack-set", "adversarial", cwd=tmp_path, env=WITHOUT_KERAS)
    assert done.code == 0, done
    assert "under attack" in done.out
    found = {
        (item.params["attack"], item.params["source"], item.params["eps"]): item
        for item in read_results(tmp_path / "bench-results" / "results.jsonl")
        if item.metric == "robust_accuracy" and "source" in item.params
    }
    for attack, source, setting in (("pgd", "model.keras", "transfer"), ("square", "float16.tflite", "direct")):
        for eps in EPS:
            (before,) = rows(record, "robust_accuracy", attack=attack, eps=eps)
            assert found[attack, source, eps].value == before.value
            assert found[attack, source, eps].params["setting"] == setting
            assert len(found[attack, source, eps].params["attack_set"]) == 64
    assert found["square", "float32.tflite", 8.0].params["setting"] == "transfer"
    assert not any(item.flags for item in found.values()), "photos of another artifact say nothing of its own"
    assert not (tmp_path / "bench-results" / "adversarial" / "attack-set.json").exists(), "it has been kept already"
    done = tledge("bench", "--repeat", "bench-results/results.jsonl", "--json", cwd=tmp_path, env=WITHOUT_KERAS)
    assert done.code == 0, done
    assert json.loads(done.out)["rows"][0]["robust"]


def test_photos_of_other_classes_are_aimed_at_one(folder: Path, tmp_path: Path) -> None:
    done = tledge(
        *("bench", folder / "float32.tflite", *SHORT, "--data", folder / "photos", "--output", tmp_path / "out"),
        *("--attack", "square", "--eps", "64", "--attack-images", "18", "--attack-queries", "40"),
        *("--attack-target", "3"),
        cwd=tmp_path,
    )
    assert done.code == 0, done
    saved = AttackSet.load(tmp_path / "out" / "adversarial")
    assert saved.photos.goal.target_classes is not None
    assert set(saved.photos.goal.target_classes.tolist()) == {3}
    assert 3 not in saved.photos.goal.labels
    (item,) = saved.attacked
    with Classifier(folder / "float32.tflite", target="litert:cpu:1") as classifier:
        before, after = (classifier.logits(shown).argmax(axis=1) for shown in (saved.photos.pixels, item.images))
    right = before == saved.photos.goal.labels
    results = read_results(tmp_path / "out" / "results.jsonl")
    (rate,) = [row for row in results if row.metric == "attack_success_rate"]
    assert rate.value == (after[right] == 3).mean() > 0
    assert rate.params["target_class"] == "3"
    settings = BenchSettings.load(tmp_path / "out")
    assert given_options(AttackPlan.from_dict(settings.attacks, "run.json").options()) == {
        "attack": ("square",),
        "eps": (64.0,),
        "norm": "linf",
        "attack_images": 18,
        "attack_queries": 40,
        "attack_target": "3",
    }
    (tested,) = [row for row in results if row.metric == "robust_accuracy" and row.params["attack"] == "square"]
    assert tested.value == ((after == saved.photos.goal.labels) & right).mean()


def test_a_defence_that_only_hides_gradients_is_flagged(network: Any, folder: Path, tmp_path: Path) -> None:
    """Logits are rounded to steps: gradients are zero, but the artifact is as easily fooled."""
    import keras

    stairs = keras.Model(network.input, keras.ops.round(network.output * 4) / 4)
    stairs.save(tmp_path / "plain.keras")
    source = write_artifact(tmp_path / "model.keras", (tmp_path / "plain.keras").read_bytes(), SIDECAR)
    content = FORMATS.load("tflite").convert(stairs, RECIPES[0], None)
    write_artifact(tmp_path / "float32.tflite", content, replace(SIDECAR, source_sha256=source.sha256))
    record = bench(
        files=[tmp_path / "model.keras", tmp_path / "float32.tflite"],
        data=folder / "photos",
        output=tmp_path / "out",
        attack=("pgd", "square"),
        eps=(32,),
        attack_queries=100,
        attack_images=20,
        **QUICK,
    )
    for artifact in ("model.keras", "float32.tflite"):
        flags = set(rows(record, "robust_accuracy", artifact, attack="worst", eps=32.0)[0].flags)
        assert {"gradient_masking", "zero_gradients"} <= flags
    assert "black_box_beats_white_box" in flags
    assert "zero gradients" in record.folder.html.read_text()
    for row in summarize(record.measurements):
        assert "gradient_masking" in row.flags
        assert "zero_gradients" not in row.flags, "the table has the headline alone"


def test_rounded_logits_that_mask_gradients_are_flagged(network: Any, folder: Path, tmp_path: Path) -> None:
    """The same network with coarsely rounded logits as a quantized file: Square fails, transferred photos do not."""
    import keras

    coarse = keras.Model(network.input, keras.ops.round(network.output / 6) * 6)
    for name in ("model.keras", "float32.tflite"):
        shutil.copy(folder / name, tmp_path)
    source = read_artifact(tmp_path / "model.keras")
    content = FORMATS.load("tflite").convert(coarse, RECIPES[0], None)
    sidecar = replace(SIDECAR, recipe="int8", source_sha256=source.sha256)
    write_artifact(tmp_path / "int8.tflite", content, sidecar)
    record = bench(
        files=[tmp_path / name for name in ("model.keras", "float32.tflite", "int8.tflite")],
        data=folder / "photos",
        output=tmp_path / "out",
        attack=("pgd", "square"),
        eps=(48,),
        attack_queries=150,
        attack_images=30,
        **QUICK,
    )
    (row,) = rows(record, "robust_mcnemar", "int8.tflite", attack="square")
    assert row.value < 0.05
    assert row.params["only_this_right"] > row.params["only_baseline_right"]
    (worst,) = rows(record, "robust_accuracy", "int8.tflite", attack="worst", eps=48.0)
    assert {"gradient_masking", "quantization_hides"} <= set(worst.flags)
    (float32,) = rows(record, "robust_accuracy", "float32.tflite", attack="worst", eps=48.0)
    assert not float32.flags


def test_a_softmax_that_hides_the_scores_is_flagged(network: Any, folder: Path, tmp_path: Path) -> None:
    """The same network with saturated, rounded probabilities: hardly harder to fool, and flagged where Square fails."""
    import keras

    rounded = keras.Model(network.input, keras.ops.round(keras.ops.softmax(network.output * 10) * 256) / 256)
    content = FORMATS.load("tflite").convert(rounded, RECIPES[0], None)
    write_artifact(tmp_path / "rounded.tflite", content, replace(SIDECAR, recipe="float32"))
    shutil.copy(folder / "float32.tflite", tmp_path)
    options: Any = {"attack": ("square",), "eps": (32,), "attack_images": 20, "attack_queries": 100}
    options |= {**QUICK, "targets": ["litert:cpu:1"]}
    found = bench(
        files=[tmp_path / "rounded.tflite", tmp_path / "float32.tflite"],
        data=folder / "photos",
        output=tmp_path / "out",
        **options,
    )
    hidden, bare = (
        rows(found, "robust_accuracy", name, attack="square")[0] for name in ("rounded.tflite", "float32.tflite")
    )
    assert {"gradient_masking", "flat_scores"} <= set(hidden.flags)
    assert not bare.flags
    assert hidden.value is not None
    assert bare.value is not None
    assert hidden.value <= bare.value + 0.1
    assert "flat scores" in found.folder.html.read_text()


def test_an_undefended_model_is_not_flagged(record: BenchRecord) -> None:
    assert RobustnessRecord.load(record.folder.robustness).flags == {}
    assert not any(item.flags for item in rows(record, "robust_accuracy"))


def test_another_models_gradients_stand_in(folder: Path, tmp_path: Path) -> None:
    bench(
        files=[folder / "float32.tflite"],
        data=folder / "photos",
        output=tmp_path / "out",
        attack="fgsm",
        eps=(32,),
        surrogate=folder / "model.keras",
        attack_images=10,
        **{**QUICK, "targets": ["litert:cpu:1"]},
    )
    found = [row for row in read_results(tmp_path / "out" / "results.jsonl") if row.params.get("attack") == "fgsm"]
    assert {(row.params["setting"], row.params["source"]) for row in found} == {("transfer", "model.keras")}


def test_impossible_options_are_rejected_before_anything_is_measured(folder: Path, tmp_path: Path) -> None:
    def ask(*options: object, files: Sequence[object] = (folder / "float32.tflite",)) -> Any:
        data = () if "--attack-set" in options else ("--data", folder / "photos")
        return tledge("bench", *files, *SHORT, *data, "--output", tmp_path / "out", *options, cwd=tmp_path)

    check_one_line_error(ask("--attack", "pgd"), "needs the Keras model", "--attack square")
    check_one_line_error(ask("--attack", "square", "--eps", "0.5"), "8-bit image", "received 0.5")
    check_one_line_error(ask("--attack", "sqare"), "Did you mean 'square'")
    check_one_line_error(ask("--attack", "square", "--eps", "two"), "--eps takes numbers", "1,2,4,8")
    check_one_line_error(ask("--attack", "square", "--attack-target", "ten"), "is not a class of this model")
    check_one_line_error(ask("--eps", "1"), "--eps configures an attack")
    check_one_line_error(ask("--attack", "square", "--norm", "l2"), "--norm l2 needs --eps")
    check_one_line_error(ask("--attack", "square", "--surrogate", folder / "model.keras"), "with gradients: apgd, fgsm")
    check_one_line_error(ask("--attack-set", folder, "--eps", "1"), "leave out --eps")
    check_one_line_error(ask("--attack-set", folder), "attack-set.json", "tledge bench --attack")
    check_one_line_error(
        ask("--attack", "pgd", "--surrogate", folder / "float32.tflite"), "is not a Keras model", "have gradients"
    )
    check_one_line_error(ask("--attack", "square", "--attack-steps", "3"), "--attack-steps 3 is for apgd and pgd")
    check_one_line_error(ask("--attack", "square", "--attack-queries", "0"), "queries must be 1 or more")
    assert not (tmp_path / "out").exists()


def test_photos_must_be_there_and_models_of_one_size(folder: Path, tiny_artifacts: Path) -> None:
    with pytest.raises(OptionError, match="`data`"):
        bench(files=[folder / "float32.tflite"], attack="square")
    with pytest.raises(OptionError, match="one size at a time"):
        bench(files=[folder / "float32.tflite", tiny_artifacts / "float32.onnx"], attack="square")


def test_without_keras_the_remaining_attacks_are_named(folder: Path, tmp_path: Path) -> None:
    done = tledge(
        *("bench", folder / "float32.tflite", folder / "model.keras", *SHORT, "--data", folder / "photos"),
        *("--attack", "pgd,square", "--output", tmp_path / "out"),
        cwd=tmp_path,
        env=WITHOUT_KERAS,
    )
    check_one_line_error(done, "tledge[train]", "--attack square works without it")


class _Interrupt(Progress):
    """Ctrl-C while photos of a certain attack are made."""

    def __init__(self, label: str) -> None:
        self._label = label

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        if label.startswith(self._label):
            raise KeyboardInterrupt
        yield Step()


@pytest.mark.parametrize(
    ("attack", "kept"), [("pgd linf 32", {("pgd", 8.0)}), ("square linf 32", {("pgd", 8.0), ("pgd", 32.0)})]
)
def test_what_was_attacked_before_ctrl_c_is_kept(
    folder: Path, tmp_path: Path, attack: str, kept: set[tuple[str, float]]
) -> None:
    with pytest.raises(KeyboardInterrupt, match="results measured so far are in"):
        bench(
            files=[folder / "model.keras", folder / "float32.tflite"],
            data=folder / "photos",
            output=tmp_path / "out",
            attack=("pgd", "square"),
            eps=EPS,
            attack_images=10,
            attack_steps=2,
            progress=_Interrupt(attack),
            **QUICK,
        )
    assert BenchSettings.load(tmp_path / "out").interrupted
    made = AttackSet.load(tmp_path / "out" / "adversarial").attacked
    assert {(item.attack, item.threat.eps) for item in made if item.white_box} == kept
    found = [row for row in read_results(tmp_path / "out" / "results.jsonl") if row.metric == "robust_accuracy"]
    halfway = {"float32.tflite"} if attack.startswith("square") else set()
    assert {row.artifact for row in found} == {"model.keras"} | halfway
    worst = {row.artifact for row in found if row.params["attack"] == "worst"}
    assert worst == ({"model.keras"} if halfway else set()), "of what not all attacks were made on, nobody knows"


def test_an_artifact_that_cannot_answer_costs_no_other(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = RobustnessCell.load

    def fail(who: RobustnessCell) -> Classifier:
        if who.name == "float16.tflite":
            raise ArtifactError("it has gone")
        return load(who)

    monkeypatch.setattr(RobustnessCell, "load", fail)
    record = bench(
        files=[folder / "float16.tflite", folder / "float32.tflite"],
        data=folder / "photos",
        output=tmp_path / "out",
        attack="square",
        eps=(32,),
        attack_images=10,
        attack_queries=5,
        corruptions="fog",
        **{**QUICK, "targets": ["litert:cpu:1"]},
    )
    assert [(item.artifact, item.reason) for item in record.skipped] == [("float16.tflite", "it has gone")] * 2
    assert rows(record, "robust_accuracy", "float32.tflite", attack="square")
    assert rows(record, "corrupted_accuracy", "float32.tflite")
    assert not rows(record, "robust_accuracy", "float16.tflite")
    assert rows(record, "top1", "float16.tflite")


def test_a_process_that_fails_costs_only_what_it_had_to_make(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    run = white_box.run_worker

    def fail(command: Sequence[str], request: Any, **options: Any) -> None:
        run(command, request, **options)
        (Path(request["folder"]) / white_box.attacked_name("pgd", 32.0)).unlink()
        raise MeasurementError("the attack was killed (SIGKILL), probably for lack of memory: it printed nothing")

    monkeypatch.setattr(white_box, "run_worker", fail)
    record = bench(
        files=[folder / "model.keras", folder / "float32.tflite"],
        data=folder / "photos",
        output=tmp_path / "out",
        attack=("pgd", "square"),
        eps=EPS,
        attack_images=10,
        attack_steps=1,
        attack_queries=3,
        **QUICK,
    )
    (item,) = record.skipped
    assert (item.artifact, item.failed) == ("model.keras", True)
    assert "SIGKILL" in item.reason
    assert rows(record, "robust_accuracy", "float32.tflite", attack="pgd", eps=8.0)
    assert rows(record, "robust_accuracy", "float32.tflite", attack="square", eps=32.0)
    assert not rows(record, "robust_accuracy", "float32.tflite", attack="worst")


def test_a_set_in_the_folder_of_the_results_stays_whole(record: BenchRecord, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(record.folder.adversarial, tmp_path / "out" / "adversarial")
    before = AttackSet.load(tmp_path / "out" / "adversarial").fingerprint
    for _ in range(2):
        again = bench(
            files=[folder / "float32.tflite"],
            output=tmp_path / "out",
            attack_set=tmp_path / "out" / "adversarial",
            **{**QUICK, "targets": ["litert:cpu:1"]},
        )
        assert again.settings.attacked_with == before
    assert len(AttackSet.load(tmp_path / "out" / "adversarial").attacked) == 6


def test_a_model_of_other_classes_is_not_shown_a_set(
    network: Any, record: BenchRecord, folder: Path, tmp_path: Path
) -> None:
    content = FORMATS.load("tflite").convert(network, RECIPES[0], None)
    write_artifact(tmp_path / "other.tflite", content, replace(SIDECAR, class_names=(*NAMES[1:], "0")))
    with pytest.raises(OptionError, match=r"other.tflite' has 1, 2"):
        bench(files=[folder / "float32.tflite", tmp_path / "other.tflite"], attack_set=record.folder.adversarial)


def test_a_set_of_other_classes_or_size_is_rejected(attack_set: AttackSet, folder: Path, tmp_path: Path) -> None:
    attack_set.save(tmp_path)
    with pytest.raises(OptionError, match="dog/wolf"):
        bench(files=[folder / "float32.tflite"], attack_set=tmp_path)
    photos = replace(attack_set.photos, class_names=NAMES)
    replace(attack_set, photos=photos).save(tmp_path / "digits")
    with pytest.raises(OptionError, match="8 x 8 px"):
        bench(files=[folder / "float32.tflite"], attack_set=tmp_path / "digits")
