"""Measurements of attacks, from logits that were made by hand: ten photos of class 0 of three."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import TINY_SIDECAR

from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import MaskingSign
from tledge.attacks.threat_model import ThreatModel
from tledge.bench.results.cells import Cell
from tledge.bench.results.workload import Model
from tledge.bench.robustness.attack_examples import choose_examples
from tledge.bench.robustness.attack_metrics import measure_attacks
from tledge.bench.robustness.attack_set import AttackSet
from tledge.bench.robustness.attacked_artifact import AttackedArtifact, AttackedLogits, AttackResults
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet
from tledge.bench.robustness.robustness_cells import RobustnessCell
from tledge.core.artifact import Artifact
from tledge.core.measurement import Measurement
from tledge.core.significance import mcnemar
from tledge.core.statistics import wilson_interval
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit

KERAS = "k" * 64
N = 10
PHOTOS = PhotoSet(
    np.full((N, 2, 2, 3), 100, np.uint8), Goal(np.zeros(N, np.intp)), ("cat", "dog", "emu"), tuple("abcdefghij")
)


def logits(*classes: int) -> Any:
    """Logits that predict these classes."""
    return np.eye(3, dtype=np.float32)[list(classes)]


def right(*indices: int) -> Any:
    """Logits that are right on these photos, and say dog on the others."""
    return logits(*(0 if index in indices else 1 for index in range(N)))


def cell(name: str, recipe: str = "int8", source: str = KERAS) -> RobustnessCell:
    path = Path(name)
    sidecar = replace(TINY_SIDECAR, recipe=recipe, source_sha256="" if path.suffix == ".keras" else source)
    sha256 = KERAS if path.suffix == ".keras" else f"sha of {name}"
    result: Any = SimpleNamespace(
        artifact_sha256=sha256,
        provider="XNNPACK",
        environment={"machine": "x86_64", "cpu_features": ()},
        environment_id="pi",
    )
    model = Model(path, name, Artifact(path, path.suffix[1:], sidecar))
    return RobustnessCell(Cell(model, Target.parse("litert:cpu:1")), result, sidecar)


def photos(attack: str = "pgd", eps: float = 8, **changed: Any) -> AttackedPhotos:
    """Photos that differ from their originals by 3 in one value and by -4 in another."""
    images = PHOTOS.pixels.copy()
    images[:, 0, 0, :2] = 103, 96
    fields: dict[str, Any] = {
        "attack": attack,
        "white_box": attack == "pgd",
        "source": "model.keras",
        "source_sha256": KERAS,
        "threat": ThreatModel("linf", eps),
        "steps": 20,
        "seed": 0,
        "images": images,
        "made_at": np.full(N, eps),
        "queries": np.arange(N) + 1,
        "seconds": 2.5,
    }
    return AttackedPhotos(**{**fields, **changed})


def transferred(predicted: Any, **changed: Any) -> AttackedLogits:
    return AttackedLogits(photos(**changed), "transfer", predicted)


def direct(name: str, predicted: Any, **changed: Any) -> AttackedLogits:
    made = photos("square", source=name, source_sha256=f"sha of {name}", **changed)
    return AttackedLogits(made, "direct", predicted)


def artifact(
    name: str, clean: Any, *attacked: AttackedLogits, recipe: str = "int8", complete: bool = True, **changed: Any
) -> AttackedArtifact:
    return AttackedArtifact(cell(name, recipe, **changed), clean, list(attacked), complete=complete)


def measure(*artifacts: AttackedArtifact, shown: PhotoSet = PHOTOS, fingerprint: str = "") -> list[Measurement]:
    return list(measure_attacks(AttackResults(AttackSet(shown, (), fingerprint), artifacts))[0])


def pick(rows: Sequence[Measurement], metric: str, artifact: str = "int8.tflite", **params: Any) -> list[Measurement]:
    return [
        row
        for row in rows
        if (row.metric, row.artifact) == (metric, artifact)
        and all(row.params.get(name) == value for name, value in params.items())
    ]


def test_only_photos_that_were_right_can_be_robust() -> None:
    """Photo 8 is wrong at first and right under attack: it counts as wrong, and as no success."""
    rows = measure(artifact("int8.tflite", right(*range(8)), transferred(right(0, 1, 2, 8))))
    (robust,) = pick(rows, "robust_accuracy", attack="pgd")
    assert (robust.value, robust.n, robust.scenario) == (0.3, 10, "robustness")
    assert robust.interval == wilson_interval(3, 10)
    assert robust.params == {
        "provider": "XNNPACK",
        "attack": "pgd",
        "setting": "transfer",
        "source": "model.keras",
        "norm": "linf",
        "eps": 8,
        "steps": 20,
        "seed": 0,
    }
    (rate,) = pick(rows, "attack_success_rate")
    assert (rate.value, rate.n) == (5 / 8, 8)
    (clean,) = pick(rows, "robust_accuracy", attack="none")
    assert (clean.value, clean.n, clean.params["eps"], clean.params["norm"]) == (0.8, 10, 0, "linf")
    (distance,) = pick(rows, "adversarial_distance")
    assert (distance.value, distance.n) == (5, 5)
    (queries,) = pick(rows, "attack_queries")
    assert (queries.value, queries.n) == (4.5, 8)  # 1 to 8, of those that were right
    (seconds,) = pick(rows, "attack_time")
    assert (seconds.value, seconds.n) == (2.5, 8)


def test_distances_are_those_of_images_that_exist() -> None:
    made_at = np.where(np.arange(N) < 2, 8, np.inf)
    rows = measure(artifact("int8.tflite", right(*range(N)), transferred(right(*range(4, N)), made_at=made_at)))
    (distance,) = pick(rows, "adversarial_distance")
    assert (distance.value, distance.n) == (2.5, 4)  # two by 5, two not at all


def test_rates_over_no_photos_are_left_out() -> None:
    rows = measure(artifact("int8.tflite", right(), transferred(right(0))))
    assert {row.metric for row in rows} == {"robust_accuracy"}
    assert {row.value for row in rows} == {0}
    rows = measure(artifact("int8.tflite", right(*range(N)), transferred(right(*range(N)))))
    assert not pick(rows, "adversarial_distance")
    assert pick(rows, "attack_success_rate")[0].value == 0


def test_photos_of_an_attack_set_cost_nothing_again() -> None:
    rows = measure(artifact("int8.tflite", right(0, 1), transferred(right(0))), fingerprint="f")
    assert not pick(rows, "attack_queries")
    assert not pick(rows, "attack_time")
    assert {row.params["attack_set"] for row in rows} == {"f"}


def test_a_targeted_success_is_the_target_class_alone() -> None:
    aimed = replace(PHOTOS, goal=Goal(np.zeros(N, np.intp), np.full(N, 2)))
    predicted = logits(0, 0, 1, 1, 1, 2, 2, 2, 2, 2)
    rows = measure(artifact("int8.tflite", right(*range(9)), transferred(predicted)), shown=aimed)
    assert pick(rows, "attack_success_rate")[0].value == 4 / 9
    assert pick(rows, "robust_accuracy", attack="pgd")[0].value == 0.2
    assert {row.params["target_class"] for row in rows} == {"emu"}


def test_the_worst_attack_is_found_photo_by_photo() -> None:
    """A photo that falls at a small eps stays fallen at larger ones."""
    item = artifact(
        "int8.tflite",
        right(*range(9)),
        transferred(right(0, 1, 2, 3, 9), eps=8),
        transferred(right(0, 1, 2, 3, 4, 5, 6), eps=2),
        direct("int8.tflite", right(1, 2, 3, 4, 5, 6, 7), eps=2),
        transferred(right(0), eps=4),
    )
    rows = measure(item)
    assert {row.params["eps"]: row.value for row in pick(rows, "robust_accuracy", attack="worst")} == {
        2: 0.6,
        4: 0.0,
        8: 0.0,
    }
    rows = measure(replace_last(item, right(1, 2, 5, 9)))
    assert {row.params["eps"]: row.value for row in pick(rows, "robust_accuracy", attack="worst")} == {
        2: 0.6,
        4: 0.3,
        8: 0.2,
    }
    assert {row.params["setting"] for row in pick(rows, "robust_accuracy", attack="worst")} == {"all"}
    item.complete = False
    assert not pick(measure(item), "robust_accuracy", attack="worst")


def replace_last(item: AttackedArtifact, predicted: Any) -> AttackedArtifact:
    *before, last = item.attacked_logits
    return replace(item, attacked_logits=[*before, replace(last, logits=predicted)])


def test_each_norm_has_its_own_worst_attack() -> None:
    item = artifact(
        "int8.tflite",
        right(*range(9)),
        transferred(right(0, 1)),
        transferred(right(2, 3, 4), threat=ThreatModel("l2", 50)),
    )
    rows = measure(item)
    worst = {row.params["norm"]: row.value for row in pick(rows, "robust_accuracy", attack="worst")}
    assert worst == {"linf": 0.2, "l2": 0.3}
    assert [row.params["norm"] for row in pick(rows, "robust_accuracy", attack="none")] == ["linf", "l2"]


def test_two_files_under_the_same_attacks_are_compared() -> None:
    def square(name: str, *indices: int) -> AttackedLogits:
        return direct(name, right(*indices))

    first = artifact("int8.tflite", right(*range(9)), transferred(right(0, 1, 2)), square("int8.tflite", 1, 2, 3, 4))
    base = artifact(
        "float32.tflite",
        right(*range(9)),
        transferred(right(0, 1, 5)),
        square("float32.tflite", 0, 1),
        recipe="float32",
    )
    rows = measure(first, base)
    worst, alone = pick(rows, "robust_mcnemar")
    assert (worst.params["attack"], worst.params["against"], worst.params["eps"]) == ("worst", "float32.tflite", 8)
    assert (worst.params["only_this_right"], worst.params["only_baseline_right"]) == (1, 1)  # {1, 2}, {0, 1}
    assert (worst.value, worst.n) == (1.0, 10)
    assert (alone.params["attack"], alone.params["setting"], alone.params["steps"]) == ("square", "direct", 20)
    assert (alone.params["only_this_right"], alone.params["only_baseline_right"]) == (3, 1)  # {1 to 4}, {0, 1}
    assert alone.value == mcnemar(3, 1)
    assert not pick(rows, "robust_mcnemar", "float32.tflite")
    base.complete = False
    assert [row.params["attack"] for row in pick(measure(first, base), "robust_mcnemar")] == ["square"]


def test_other_attacks_are_not_compared() -> None:
    first = artifact("int8.tflite", right(*range(9)), direct("int8.tflite", right(1)), transferred(right(1)))
    base = artifact("float32.tflite", right(*range(9)), direct("float32.tflite", right(2), seed=1), recipe="float32")
    assert not pick(measure(first, base), "robust_mcnemar")
    first.attacked_logits[:] = [direct("int8.tflite", right(1))]
    base.attacked_logits[:] = [transferred(right(1))]
    assert not pick(measure(first, base), "robust_mcnemar")
    keras = artifact("model.keras", right(*range(9)), direct("model.keras", right(1)))
    assert not pick(measure(keras, base), "robust_mcnemar", "model.keras")
    lonely = artifact("int8.tflite", right(*range(9)), direct("int8.tflite", right(1)))
    assert not pick(measure(lonely), "robust_mcnemar")


def big(count: int) -> PhotoSet:
    return PhotoSet(np.full((count, 2, 2, 3), 100, np.uint8), Goal(np.zeros(count, np.intp)), ("a", "b"), ("",) * count)


def quantized(
    mine: int, theirs: int, moved: int, *, extra: int = 0, complete: bool = True
) -> tuple[AttackedArtifact, AttackedArtifact]:
    """Of 100 photos, direct attacks leave ``mine`` and ``theirs``; transferred ones leave ``moved`` of the first."""
    count = 100

    def first(number: int) -> Any:
        return np.eye(2, dtype=np.float32)[[0] * number + [1] * (count - number)]

    def square(name: str, number: int, eps: float) -> AttackedLogits:
        made = replace_photos(photos("square", eps, source=name, source_sha256=f"sha of {name}"), count)
        return AttackedLogits(made, "direct", first(number))

    def pgd(number: int) -> AttackedLogits:
        return AttackedLogits(replace_photos(photos(), count), "transfer", first(number))

    more = [2.0**power for power in range(4, 4 + extra)]
    int8 = artifact(
        "int8.tflite",
        first(100),
        square("int8.tflite", mine, 8),
        pgd(moved),
        *(square("int8.tflite", 0, e) for e in more),
    )
    float32 = artifact(
        "float32.tflite",
        first(100),
        square("float32.tflite", theirs, 8),
        *(square("float32.tflite", 0, e) for e in more),
        recipe="float32",
    )
    return int8, float32


def replace_photos(item: AttackedPhotos, count: int) -> AttackedPhotos:
    pixels = np.full((count, 2, 2, 3), 100, np.uint8)
    return replace(item, images=pixels, made_at=np.full(count, item.threat.eps), queries=np.ones(count, np.intp))


def flags_of(pair: tuple[AttackedArtifact, AttackedArtifact]) -> dict[str, list[str]]:
    _, found = measure_attacks(AttackResults(AttackSet(big(100), ()), pair))
    return {name: [sign.name for sign in signs] for name, signs in found.items()}


HIDES = {"int8.tflite": ["gradient_masking", "quantization_hides"]}


@pytest.mark.parametrize(
    ("mine", "theirs", "moved", "extra", "found"),
    [
        (56, 50, 46, 0, True),  # 6 more than float32: p = 0.03
        (55, 50, 45, 0, False),  # 5 more: p = 0.06
        (56, 50, 46, 1, False),  # of two direct attacks, p must be below 0.025
        (57, 50, 47, 1, True),  # 7 more: p = 0.016
        (50, 56, 40, 0, False),  # worse than float32
        (50, 50, 40, 0, False),
        (56, 50, 54, 0, False),  # transferred photos take 2 in a hundred
        (56, 50, 53, 0, True),
        (56, 50, 57, 0, False),  # they fool no more than the direct attack
    ],
)
def test_quantization_that_only_hides_the_way_is_flagged(
    mine: int, theirs: int, moved: int, extra: int, found: bool
) -> None:
    pair = quantized(mine, theirs, moved, extra=extra)
    assert flags_of(pair) == (HIDES if found else {})
    pair[0].attacked_logits.reverse()
    assert flags_of(pair) == (HIDES if found else {})


def test_the_sentence_of_a_flag_has_the_numbers() -> None:
    _, found = measure_attacks(AttackResults(AttackSet(big(100), ()), quantized(60, 50, 40)))
    signs = next(iter(found.values()))
    assert signs[1].sentence == (
        "square (linf 8/255) left 60.0%, on float32.tflite 50.0%; together with transferred photos it left 40.0%"
    )
    rows = measure(*quantized(60, 50, 40), shown=big(100))
    flagged = {(row.metric, row.params["attack"]) for row in rows if row.flags}
    assert flagged == {
        ("robust_accuracy", "square"),
        ("robust_accuracy", "pgd"),
        ("robust_accuracy", "worst"),
        ("attack_success_rate", "square"),
        ("attack_success_rate", "pgd"),
    }
    assert not any(row.flags for row in rows if row.artifact == "float32.tflite")


@pytest.mark.parametrize(
    ("source", "source_sha256", "found"), [("model.keras", KERAS, True), ("other.keras", "s" * 64, False)]
)
def test_photos_of_an_unrelated_model_are_no_sign(source: str, source_sha256: str, found: bool) -> None:
    """Square succeeds on all, PGD on none: on a surrogate's gradients, that proves nothing."""
    item = artifact(
        "int8.tflite",
        right(*range(N)),
        transferred(right(*range(N)), source=source, source_sha256=source_sha256),
        direct("int8.tflite", right()),
    )
    _, found_flags = measure_attacks(AttackResults(AttackSet(PHOTOS, ()), (item,)))
    assert [(sign.name, sign.sentence) for signs in found_flags.values() for sign in signs[1:]] == [
        (
            "black_box_beats_white_box",
            "0.0% correct after square (linf 8/255, 20 steps), 100.0% correct after pgd (linf 8/255, 20 steps)",
        )
    ] * found


def test_black_box_photos_are_not_white_box_ones() -> None:
    item = artifact(
        "int8.tflite",
        right(*range(N)),
        transferred(right(*range(N)), white_box=False),
        direct("int8.tflite", right()),
    )
    assert measure_attacks(AttackResults(AttackSet(PHOTOS, ()), (item,)))[1] == {}


def test_an_attack_on_an_unrelated_model_is_another_attack() -> None:
    """The same attack from two sources is no attack that does worse with more steps."""
    item = artifact(
        "int8.tflite",
        right(*range(N)),
        transferred(right(), steps=20),
        transferred(right(*range(N)), steps=50, source="other.keras", source_sha256="s" * 64),
    )
    assert measure_attacks(AttackResults(AttackSet(PHOTOS, ()), (item,)))[1] == {}
    own = artifact("int8.tflite", right(*range(N)), transferred(right()), transferred(right(*range(N)), steps=50))
    ((name, signs),) = measure_attacks(AttackResults(AttackSet(PHOTOS, ()), (own,)))[1].items()
    assert (name, [sign.name for sign in signs]) == ("int8.tflite", ["gradient_masking", "more_steps_not_stronger"])


def test_signs_of_the_model_are_flags_too() -> None:
    item = artifact("int8.tflite", right(0), transferred(right()))
    item.model_signs.append(MaskingSign("zero_gradients", "none"))
    rows = measure(item)
    (robust,) = pick(rows, "robust_accuracy", attack="pgd")
    assert robust.flags == ("gradient_masking", "zero_gradients")
    assert pick(rows, "robust_accuracy", attack="none")[0].flags == ()


def test_nothing_attacked_is_nothing_measured() -> None:
    assert measure_attacks(AttackResults()) == ([], {})


def test_examples_are_of_the_smallest_eps_that_fools_the_int8_file() -> None:
    float32 = artifact("float32.tflite", right(*range(N)), transferred(right()), recipe="float32")
    int8 = artifact(
        "int8.tflite",
        right(*range(8)),
        transferred(right(), eps=8),
        transferred(right(*range(N)), eps=2),
        transferred(right(0, 2), eps=4, made_at=np.where(np.arange(N) == 1, np.inf, 4.0)),
        direct("int8.tflite", right(*range(N))),
    )
    keras = artifact("model.keras", right(*range(N)), transferred(right()))
    examples = choose_examples(AttackResults(AttackSet(PHOTOS, ()), (keras, float32, int8)))
    assert [(item.artifact, item.eps, item.original) for item in examples] == [
        ("int8.tflite", 4.0, f"originals/000{index}-cat.png") for index in (3, 4, 5)
    ]
    assert examples[0].attacked == "pgd-model.keras-linf-4/0003.png"
    assert (examples[0].label, examples[0].before[0], examples[0].after[0]) == ("cat", "cat", "dog")
    assert examples[0].before[1] == pytest.approx(np.e / (np.e + 2))
    shown = choose_examples(AttackResults(AttackSet(PHOTOS, ()), (keras, float32)))
    assert {item.artifact for item in shown} == {"float32.tflite"}
    assert choose_examples(AttackResults()) == ()
