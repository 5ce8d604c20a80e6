"""The rule for the file to ship, on results whose right answer is known."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_sample import Made, read_sample, write_sample
from stored_sample import SETTINGS, measurement, stored_cell, stored_results
from timed_files import FAST, SLOW_ROUNDS, file, of, with_tail

from tledge.bench.report.conclusions import conclude
from tledge.bench.report.html import write_html
from tledge.bench.report.markdown import markdown
from tledge.bench.report.recommendation_card import recommendation_card
from tledge.bench.results import stored_results as reader
from tledge.bench.results.flags import ONE_ROUND
from tledge.bench.results.recommendation import (
    ALONE,
    FLAGGED,
    LARGER,
    LESS_ACCURATE,
    NOT_TIMED,
    SLOW,
    UNCERTAIN,
    Recommendation,
    recommend,
)
from tledge.bench.results.stored_results import StoredCell, StoredResults

pytestmark = pytest.mark.unit


def chosen(*cells: StoredCell) -> str:
    found = recommend(of(*cells))
    return found.undecided if found.chosen is None else found.chosen.name


def test_the_fastest_of_the_accurate_files_is_chosen() -> None:
    fast, slow = file("int8.tflite"), file("float32.tflite", SLOW_ROUNDS, size=4000.0)
    assert chosen(slow, fast) == "int8.tflite on litert:cpu:2"
    assert chosen(slow, file("int8.tflite", wrong=1)) == "int8.tflite on litert:cpu:2", "one photo is no difference"
    assert chosen(slow, file("int8.tflite", wrong=20)) == "float32.tflite on litert:cpu:2"


@pytest.mark.parametrize(("wrong", "accurate"), [(5, True), (6, False)])
def test_accuracy_rules_a_file_out_where_the_test_is_significant(wrong: int, accurate: bool) -> None:
    """Five photos to none have p = 0.0625, six have p = 0.031."""
    found = recommend(of(file("float32.tflite", SLOW_ROUNDS), file("int8.tflite", wrong=wrong)))
    assert found.chosen is not None
    assert (found.chosen.artifact == "int8.tflite") == accurate
    assert [item.reason for item in found.avoided] == ([] if accurate else [LESS_ACCURATE])


def test_of_files_that_are_equally_fast_the_smallest_is_chosen() -> None:
    large, small = file("a.tflite", size=4000.0), file("b.tflite", (1.01, 1.0, 1.0), size=1000.0)
    found = recommend(of(large, small))
    assert found.chosen is not None
    assert found.chosen.artifact == "b.tflite"
    assert found.runner_up is not None
    assert (found.runner_up.row.artifact, found.runner_up.reason, found.runner_up.ratio) == ("a.tflite", LARGER, 4.0)


def test_a_smaller_file_is_not_chosen_because_it_was_measured_badly() -> None:
    good, bad = file("a.tflite", size=4000.0), file("b.tflite", (1.0, 2.0, 0.9), size=1000.0)
    found = recommend(of(good, bad))
    assert found.chosen is not None
    assert found.chosen.artifact == "a.tflite"
    assert found.runner_up is not None
    assert (found.runner_up.row.artifact, found.runner_up.reason) == ("b.tflite", UNCERTAIN)
    assert found.equals == ()
    why = recommendation_card(of(good, bad), found).why
    assert re.match(r"Runner-up: b.tflite on litert:cpu:2, not shown to be as fast: 1\.\d+× the p90 \(", why[0])


def test_the_runner_up_is_another_file_and_says_why() -> None:
    found = recommend(
        of(
            file("int8.tflite"),
            file("int8.tflite", (1.5, 1.51, 1.49), target="litert:cpu:1"),
            file("float32.tflite", SLOW_ROUNDS, size=4000.0),
        )
    )
    assert found.runner_up is not None
    assert (found.runner_up.row.artifact, found.runner_up.reason) == ("float32.tflite", SLOW)
    assert found.runner_up.ratio == pytest.approx(2.0, rel=0.01)
    assert found.runner_up.interval is not None


def test_files_that_nothing_sets_apart_are_named() -> None:
    found = recommend(of(file("a.tflite"), file("b.tflite")))
    assert [row.artifact for row in found.equals] == ["b.tflite"]
    assert found.runner_up is None


def test_the_keras_model_is_not_a_file_that_ships() -> None:
    keras = file("model.keras", (0.1, 0.1, 0.1), target="keras:cpu")
    assert chosen(keras, file("a.tflite"), file("b.tflite", SLOW_ROUNDS)) == "a.tflite on litert:cpu:2"


def test_nothing_is_claimed_without_evidence() -> None:
    one = [file("a.tflite", (1.0,)), file("b.tflite", (9.0,))]
    assert chosen(*one) == ONE_ROUND
    assert chosen(*(file(name, (1.0,), flags=(ONE_ROUND,)) for name in ("a.tflite", "b.tflite"))) == ONE_ROUND
    assert chosen(*(file(name, (1.0,), flags=(ONE_ROUND, "noisy")) for name in ("a.tflite", "b.tflite"))) == ONE_ROUND
    noisy = [file("a.tflite", flags=("noisy",)), file("b.tflite", SLOW_ROUNDS, flags=("noisy",))]
    assert chosen(*noisy) == FLAGGED
    assert recommend(of(*noisy)).flags == ("noisy",)
    assert chosen(noisy[0], file("b.tflite", SLOW_ROUNDS)) == "b.tflite on litert:cpu:2", "the only one to compare"
    assert chosen(file("a.tflite"), file("a.tflite", target="litert:cpu:1")) == ALONE
    untimed = [stored_cell({"file_size": 10.0, "top1": 0.9}, artifact=name) for name in ("a.tflite", "b.tflite")]
    assert chosen(*untimed) == NOT_TIMED


def test_a_single_round_is_not_blamed_on_other_programs() -> None:
    one = of(*(file(name, (1.0,), flags=("noisy", "one_round")) for name in ("a.tflite", "b.tflite")))
    assert recommend(one).undecided == ONE_ROUND
    mixed = of(file("a.tflite", (1.0,), flags=("one_round",)), file("b.tflite", flags=("noisy",)))
    assert (recommend(mixed).undecided, recommend(mixed).flags) == (FLAGGED, ("noisy", "one_round"))


def test_accurate_files_that_are_flagged_were_timed() -> None:
    data = of(file("a.tflite", flags=("throttled",)), file("b.tflite", wrong=50))
    found = recommend(data)
    assert (found.undecided, found.flags) == (FLAGGED, ("throttled",))
    first, avoided = recommendation_card(data, found).why
    assert first == (
        "All latencies of files that are accurate enough are flagged (throttled) and cannot be compared, so no file is"
        " recommended."
    )
    assert avoided.startswith("Avoid b.tflite: significantly less accurate")


def test_a_quiet_machine_is_the_remedy_for_noise_alone() -> None:
    found = Recommendation(chosen=None, undecided=FLAGGED, flags=("more_threads_than_cores",))
    assert recommendation_card(of(), found).why == (
        "All latencies are flagged (more threads than cores) and cannot be compared, so no file is recommended.",
    )
    (noisy,) = recommendation_card(of(), replace(found, flags=("noisy",))).why
    assert noisy.endswith("recommended. Measure again on a quiet machine.")


def test_conclusions_do_not_say_again_that_nothing_can_be_compared() -> None:
    base = {"against": "float32.tflite", "provider": "XNNPACK"}
    for flag, medians in (("noisy", FAST), ("one_round", (1.0,))):
        ratio = replace(measurement("latency_ratio", 1.0, params=base), scenario="comparison", artifact="int8.tflite")
        cell = file("int8.tflite", medians, flags=(flag,))
        data = of(
            file("float32.tflite", medians, flags=(flag,)), replace(cell, measurements=(*cell.measurements, ratio))
        )
        sentences = conclude(data)
        assert not any("compared" in sentence or "lagged" in sentence for sentence in sentences), sentences


def test_a_flag_does_not_hide_a_less_accurate_file() -> None:
    found = recommend(of(file("a.tflite", flags=("noisy",)), file("b.tflite", flags=("noisy",), wrong=50)))
    assert (found.chosen, [item.row.artifact for item in found.avoided]) == (None, ["b.tflite"])


def test_without_photos_the_rule_goes_without_accuracy() -> None:
    cells = [file("a.tflite", SLOW_ROUNDS), file("b.tflite")]
    bare = [replace(cell, measurements=tuple(i for i in cell.measurements if i.metric != "top1")) for cell in cells]
    found = recommend(stored_results(*bare))
    assert found.chosen is not None
    assert (found.chosen.artifact, found.accuracy_known) == ("b.tflite", False)
    card = recommendation_card(stored_results(*bare, settings=SETTINGS), found)
    assert "without accuracy, not known for each photo" in card.rule


def test_a_card_names_the_file_its_figures_and_the_reasons(tmp_path: Path) -> None:
    cells = (
        Made("float32.tflite", "litert:cpu:2", 3.9, 8_902_144, 4),
        Made("dynamic.tflite", "litert:cpu:2", 3.4, 2_604_032, 6),
        Made("int8.tflite", "litert:cpu:2", 2.9, 2_746_368, 5),
        Made("int16x8.tflite", "litert:cpu:2", 39.0, 2_900_000, 5),
        Made("int8.onnx", "onnxruntime:cpu:2", 3.1, 2_698_240, 24),
    )
    data = read_sample(write_sample(tmp_path, cells=cells), title="photos")
    card = recommendation_card(data, recommend(data))
    assert card.title == "Ship int8.tflite on litert:cpu:2"
    assert [(item.heading, item.value) for item in card.figures][1:] == [("Size", "2.7 MB"), ("Test top-1", "0.983")]
    first, runner_up, accuracy, slow = card.why
    assert first.startswith("Compared with float32.tflite: 3.2× smaller, 1.3")
    assert first.endswith("); accuracy is not significantly different (McNemar p = 1.00).")
    assert runner_up.startswith("Runner-up: dynamic.tflite on litert:cpu:2, 1.1")
    assert accuracy == ("Avoid int8.onnx: significantly less accurate, top-1 0.920 against 0.987 of float32.tflite.")
    assert slow.startswith("Avoid int16x8.tflite: 10.")


def test_a_slow_file_names_the_operators_that_are_not_accelerated() -> None:
    base = {"against": "float32.tflite", "provider": "XNNPACK (1 of 69 nodes)"}
    cell = file("int16x8.tflite", (14.0, 14.1, 13.9))
    ratio = measurement("latency_ratio", 14.0, interval=(13.8, 14.2), params=base)
    partial = tuple(replace(item, params=base) for item in cell.measurements)
    ratio = replace(ratio, scenario="comparison", artifact="int16x8.tflite")
    slow = replace(cell, measurements=(*partial, ratio))
    data = of(file("float32.tflite"), file("float16.tflite", (1.2, 1.2, 1.21)), slow)
    card = recommendation_card(data, recommend(data))
    (avoid,) = [sentence for sentence in card.why if sentence.startswith("Avoid")]
    assert avoid == (
        "Avoid int16x8.tflite: 14.00× slower (13.80–14.20) than float32.tflite; XNNPACK runs 1 of 69 operators."
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Recommendation(chosen=None, undecided=ONE_ROUND), "single round"),
        (Recommendation(chosen=None, undecided=FLAGGED, flags=("noisy", "throttled")), r"\(noisy and throttled\)"),
        (Recommendation(chosen=None, undecided=NOT_TIMED), "Nothing was timed"),
    ],
    ids=["one round", "flagged", "not timed"],
)
def test_a_card_says_why_nothing_is_recommended(found: Recommendation, words: str) -> None:
    card = recommendation_card(of(file("a.tflite"), file("b.tflite")), found)
    assert (card.title, card.figures, card.rule) == ("No recommendation", (), "")
    assert re.search(words, card.why[0])


@pytest.mark.parametrize(
    ("size", "words"), [(4000.0, "4.0× larger"), (1051.0, "1.1× larger"), (1049.0, "slightly larger")]
)
def test_a_card_says_how_much_larger_the_runner_up_is(size: float, words: str) -> None:
    data = of(file("a.tflite"), file("b.tflite", size=size))
    card = recommendation_card(data, recommend(data))
    assert card.why[0] == f"Runner-up: b.tflite on litert:cpu:2, as fast within 5%, but {words}."


def test_a_recommendation_is_json() -> None:
    found = recommend(of(file("int8.tflite"), file("float32.tflite", SLOW_ROUNDS, wrong=30))).to_dict()
    assert (found["artifact"], found["target"], found["undecided"]) == ("int8.tflite", "litert:cpu:2", None)
    assert [(item["artifact"], item["reason"]) for item in found["avoided"]] == [("float32.tflite", LESS_ACCURATE)]


def test_the_recommendation_is_made_once_for_all_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[StoredResults] = []

    def count(data: StoredResults) -> Recommendation:
        made.append(data)
        return recommend(data)

    monkeypatch.setattr(reader, "recommend", count)
    data = read_sample(write_sample(tmp_path), title="photos")
    write_html(data, tmp_path / "report.html")
    conclude(data)
    assert f"Ship {data.recommendation.chosen.name if data.recommendation.chosen else ''}" in markdown(data)
    assert made == [data]


def test_a_budget_on_the_keras_model_alone_recommends_nothing() -> None:
    data = replace(of(file("model.keras", target="keras:cpu")), settings=replace(SETTINGS, budget=("size_mb <= 5",)))
    found = recommend(data)
    assert (found.chosen, found.undecided) == (None, NOT_TIMED)
    assert recommendation_card(data, found).title


def test_a_file_whose_accuracy_cannot_be_compared_is_not_chosen() -> None:
    good, unknown = file("float32.tflite", SLOW_ROUNDS), file("int8.tflite", wrong=20)
    assert chosen(good, replace(unknown, raw=None)) == "float32.tflite on litert:cpu:2"


def test_a_file_to_avoid_is_named_with_its_target_unless_all_are_bad() -> None:
    good, bad = file("int8.tflite"), file("int8.tflite", wrong=50, target="litert:cpu:4")
    data = of(good, bad, file("float32.tflite", SLOW_ROUNDS), file("dynamic.tflite", wrong=60))
    card = recommendation_card(data, data.recommendation)
    assert card.title == "Ship int8.tflite on litert:cpu:2"
    avoided = [sentence.partition(": significantly")[0] for sentence in card.why[-2:]]
    assert avoided == ["Avoid dynamic.tflite", "Avoid int8.tflite on litert:cpu:4"]
    both = of(file("int8.tflite", wrong=50), bad, file("float32.tflite", SLOW_ROUNDS))
    assert recommendation_card(both, both.recommendation).why[-1].startswith("Avoid int8.tflite: significantly")
    flagged = of(file("int8.tflite", flags=("noisy",)), bad, file("float32.tflite", flags=("noisy",)))
    assert recommendation_card(flagged, flagged.recommendation).why[-1].startswith("Avoid int8.tflite on litert:cpu:4:")


def test_files_are_compared_by_p90_in_every_step() -> None:
    """The median of b.tflite is half that of a.tflite, but its p90 is higher: 3.0 ms against 2.4 ms."""
    data = of(file("a.tflite", SLOW_ROUNDS), with_tail(file("b.tflite", size=1200.0), 3.0))
    card = recommendation_card(data, data.recommendation)
    assert card.title == "Ship a.tflite on litert:cpu:2"
    assert card.why[0].startswith("Runner-up: b.tflite on litert:cpu:2, 1.25× slower at p90 (1.2")
    smaller = of(file("a.tflite", SLOW_ROUNDS), with_tail(file("b.tflite", size=900.0), 3.0))
    assert smaller.recommendation.chosen is not None
    assert smaller.recommendation.chosen.artifact == "a.tflite", "a low median does not make up for it"


def test_a_smaller_file_that_is_slower_than_the_fastest_is_not_as_good() -> None:
    """c.tflite is as fast as b.tflite within 5%, and b.tflite as a.tflite, but c.tflite is not as fast as a.tflite."""
    sizes = {"a.tflite": (1.0, 3000.0), "b.tflite": (1.035, 2000.0), "c.tflite": (1.07, 1000.0)}
    rounds = (1.0, 1.001, 0.999)
    cells = [file(name, [factor * value for value in rounds], size=size) for name, (factor, size) in sizes.items()]
    found = recommend(of(*cells))
    assert found.chosen is not None
    assert (found.chosen.artifact, found.equals) == ("b.tflite", ())
    assert found.runner_up is not None
    assert (found.runner_up.row.artifact, found.runner_up.reason) == ("a.tflite", LARGER)


def test_without_raw_samples_no_file_is_called_as_fast() -> None:
    bare = [replace(file(name, size=size), raw=None) for name, size in (("a.tflite", 1000.0), ("b.tflite", 2000.0))]
    found = recommend(of(*bare))
    assert (found.equals, found.runner_up and found.runner_up.reason) == ((), UNCERTAIN)
