"""How a description is held against what a file declares: made tensors, at each boundary and on both sides."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tledge.core.errors import ArtifactError, OptionError
from tledge.core.label_file import trim_labels
from tledge.core.preprocessing import Preprocessing
from tledge.edge_runtime import inspection as inspections
from tledge.edge_runtime.adoption import make_sidecar, missing_fields
from tledge.edge_runtime.description import Description
from tledge.edge_runtime.input_range import span_of
from tledge.edge_runtime.inspection import (
    Inspection,
    are_fractions,
    are_probabilities,
    layout_of,
    lengths_by,
    sum_tolerance,
)
from tledge.edge_runtime.tensor import TensorSpec

pytestmark = pytest.mark.unit

FLOAT = np.dtype(np.float32)
IMAGE = TensorSpec("x", (1, 96, 64, 3), FLOAT)
OUTPUT = TensorSpec("y", (1, 4), FLOAT)
FOUR = ("a", "b", "c", "d")
GIVEN = Description(labels=FOUR, layout="nhwc", input_size=(96, 64), input_range=(0.0, 1.0), output="logits")


def quantized(low: float, high: float) -> TensorSpec:
    """An int8 input that represents low to high."""
    scale = (high - low) / 255
    return replace(IMAGE, dtype=np.dtype(np.int8), scale=scale, zero_point=round(-128 - low / scale))


def inspected(image: TensorSpec = IMAGE, output: TensorSpec = OUTPUT, **declared: Any) -> Inspection:
    return Inspection(Path("m"), image, output, "", Description(**declared), dict.fromkeys(declared, "its shape"))


def test_what_is_given_goes_before_what_is_declared_and_the_usual_is_assumed() -> None:
    file = inspected(layout="nhwc", colour="rgb", input_size=(96, 64))
    sidecar, sources = make_sidecar(file, replace(GIVEN, layout=None, colour="bgr"))
    assert sidecar.preprocessing == Preprocessing(colour="bgr", input_range=(0.0, 1.0))
    assert (sidecar.class_names, sidecar.input_size, sidecar.resize) == (FOUR, (96, 64), "stretch")
    assert (sidecar.recipe, sidecar.source_run, sidecar.source_sha256) == ("adopted", "", "")
    assert sources == {
        "labels": "given",
        "layout": "its shape",
        "input_size": "given",
        "colour": "given",
        "input_range": "given",
        "output": "given",
        "resize": "assumed",
    }


def test_range_mean_and_std_come_from_one_source() -> None:
    file = inspected(input_range=(0.0, 255.0), mean=(1.0,), std=(2.0,))
    sidecar, _ = make_sidecar(file, replace(GIVEN, input_range=None))
    assert sidecar.preprocessing is not None
    assert (sidecar.preprocessing.mean, sidecar.preprocessing.std) == ((1.0,) * 3, (2.0,) * 3)
    sidecar, _ = make_sidecar(file, GIVEN)
    assert sidecar.preprocessing is not None
    assert (sidecar.preprocessing.mean, sidecar.preprocessing.std) == ((), ())
    assert missing_fields(file, replace(GIVEN, input_range=None, std=(2.0,)))[0] == ["input_range"]


def test_missing_fields_are_required_or_optional() -> None:
    assert missing_fields(inspected(), Description()) == (
        ["labels", "layout", "input_size", "input_range", "output"],
        ["colour", "mean", "std", "resize"],
    )
    assert missing_fields(inspected(), GIVEN) == ([], ["colour", "resize"])
    assert missing_fields(inspected(input_range=(0.0, 1.0)), replace(GIVEN, input_range=None)) == (
        [],
        ["colour", "resize"],
    )
    with pytest.raises(
        OptionError,
        match=r"^'m' does not declare its preprocessing or output; pass `labels` \(such as labels.txt\)$",
    ):
        make_sidecar(inspected(), replace(GIVEN, labels=None))


@pytest.mark.parametrize(
    ("image", "given", "message"),
    [
        (IMAGE, {"input_size": (96, 65)}, "`input_size='96x65'` contradicts"),
        (IMAGE, {"input_size": (95, 64)}, "`input_size='95x64'` contradicts"),
        (IMAGE, {"layout": "nchw"}, "`layout='nchw'` contradicts 'm': 96 channels"),
        (IMAGE, {"colour": "grey"}, "`colour='grey'` contradicts 'm': 3 channels"),
        (replace(IMAGE, shape=(1, 96, 64, 1)), {"colour": "rgb"}, "`colour='rgb'` contradicts 'm': 1 channels"),
        (replace(IMAGE, shape=(1, 96, 64, 1)), {}, "`colour='rgb'` contradicts"),
        (replace(IMAGE, shape=(1, 96, 64, 1)), {"colour": "grey"}, ""),
        (replace(IMAGE, shape=(1, None, None, 3)), {"input_size": (7, 9)}, ""),
        (replace(IMAGE, shape=(1, None, None, None)), {"colour": "grey"}, ""),
        (replace(IMAGE, shape=(1, 3, 96, 64)), {"layout": "nchw"}, ""),
        (IMAGE, {"mean": (1.0, 2.0)}, "mean has 2 values for 3 channels"),
        (IMAGE, {"std": (1.0, 1.0, 0.0)}, "std must be above 0; received 0.0"),
        (IMAGE, {"input_range": (1.0, 1.0)}, "input_range from 1.0 to 1.0 is empty"),
    ],
)
def test_the_input_must_be_as_described(image: TensorSpec, given: dict[str, Any], message: str) -> None:
    if not message:
        make_sidecar(inspected(image), replace(GIVEN, **given))
        return
    with pytest.raises(OptionError, match=message):
        make_sidecar(inspected(image), replace(GIVEN, **given))


@pytest.mark.parametrize(
    ("outputs", "labels", "kind", "message"),
    [
        (4, 4, "logits", ""),
        (4, 4, "probabilities", ""),
        (4, 3, "logits", r"3 labels for 'm', which has 4 outputs; one of them may be a 'background' class$"),
        (4, 5, "logits", r"5 labels for 'm', which has 4 outputs; one of them may be a 'background' class$"),
        (4, 6, "logits", r"6 labels for 'm', which has 4 outputs$"),
        (4, 4, "sigmoid", r"it has 4 outputs; expected logits or probabilities$"),
        (1, 2, "sigmoid", ""),
        (1, 2, "logit", ""),
        (1, 1, "logit", r"1 labels for 'm', which has one output, for two classes$"),
        (1, 1, "logits", r"it has 1 output; expected sigmoid or logit$"),
        (None, 9, "logits", ""),
        (None, 2, "sigmoid", ""),
    ],
)
def test_the_output_must_be_as_described(outputs: int | None, labels: int, kind: str, message: str) -> None:
    file = inspected(output=replace(OUTPUT, shape=(1, outputs)))
    given = replace(GIVEN, labels=tuple(f"c{index}" for index in range(labels)), output=kind)
    if not message:
        make_sidecar(file, given)
        return
    with pytest.raises(OptionError, match=message):
        make_sidecar(file, given)


def test_a_kind_of_output_that_was_found_is_not_overruled() -> None:
    declared = Description(output="probabilities")
    file = replace(inspected(), declared=declared, sources={"output": "its shape"})
    with pytest.raises(OptionError, match="`output='logits'` contradicts 'm': judging by its shape, it returns prob"):
        make_sidecar(file, GIVEN)
    make_sidecar(file, replace(GIVEN, output="probabilities"))


@pytest.mark.parametrize(
    ("given", "fails"),
    [
        ({"input_range": (0.0, 0.1)}, False),
        ({"input_range": (0.0, 0.0999)}, True),
        ({"input_range": (0.0, 1.0), "std": (10.0,)}, False),
        ({"input_range": (0.0, 1.0), "std": (10.1,)}, True),
        (
            {"input_range": (0.0, 1.0), "mean": (123.7, 116.8, 103.9), "std": (58.0, 57.0, 57.0)},
            False,
        ),  # the means differ
    ],
)
def test_pixels_must_not_become_nearly_one_number(given: dict[str, Any], fails: bool) -> None:
    if not fails:
        make_sidecar(inspected(), replace(GIVEN, **given))
        return
    with pytest.raises(
        OptionError, match="which is nearly constant; give `mean` and `std` in the units of `input_range`"
    ):
        make_sidecar(inspected(), replace(GIVEN, **given))


@pytest.mark.parametrize(
    ("span", "pixels", "fails"),
    [
        ((0.0, 1.0), (0.0, 1.0), False),
        ((0.0, 1.0), (0.0, 0.42), False),  # at least 0.4 of the tensor's range is used
        ((0.0, 1.0), (0.0, 0.38), True),
        ((-1.0, 1.0), (0.0, 1.0), False),  # symmetric: half of it is empty
        ((0.0, 1.0), (0.0, 1.32), False),  # at most a quarter of the pixels' range is clipped
        ((0.0, 1.0), (0.0, 1.36), True),
        ((0.0, 1.0), (-0.32, 1.0), False),
        ((0.0, 1.0), (-0.36, 1.0), True),
        ((0.0, 1.0), (0.0, 255.0), True),
        ((0.0, 1.0), (2.0, 3.0), True),
    ],
)
def test_pixels_must_fit_a_quantized_input(span: tuple[float, float], pixels: tuple[float, float], fails: bool) -> None:
    file = inspected(quantized(*span))
    if not fails:
        make_sidecar(file, replace(GIVEN, input_range=pixels))
        return
    with pytest.raises(OptionError, match="but the quantized input has the range"):
        make_sidecar(file, replace(GIVEN, input_range=pixels))


def test_spans_and_layouts() -> None:
    assert span_of(IMAGE) is None
    assert span_of(replace(IMAGE, dtype=np.dtype(np.uint8))) == (0, 255)
    assert span_of(replace(IMAGE, dtype=np.dtype(np.int8), scale=0.5, zero_point=-128)) == (0, 127.5)
    assert layout_of(IMAGE) == "nhwc"
    assert layout_of(replace(IMAGE, shape=(1, 1, 96, 64))) == "nchw"
    assert layout_of(replace(IMAGE, shape=(1, 3, 96, 3))) is None
    assert layout_of(replace(IMAGE, shape=(1, None, 64, None))) is None
    assert layout_of(replace(IMAGE, shape=(1, 2, 64, 4))) is None
    assert lengths_by("nhwc", IMAGE) == (96, 64, 3)
    assert lengths_by("nchw", replace(IMAGE, shape=(1, 3, 96, None))) == (96, None, 3)


def test_probabilities_sum_to_one_up_to_their_rounding() -> None:
    def judged(*row: float, output: TensorSpec = OUTPUT) -> bool:
        return are_probabilities(np.array([[0.5, 0.5, 0, 0], row], np.float32), output)

    assert judged(0.7, 0.1, 0.1, 0.1)
    assert judged(0.7, 0.1, 0.1, 0.119)
    assert not judged(0.7, 0.1, 0.1, 0.121)
    assert judged(0.7, 0.1, 0.1, 0.081)
    assert not judged(0.7, 0.1, 0.1, 0.079)
    assert not judged(1.2, -0.2, 0.0, 0.0)
    assert sum_tolerance(OUTPUT) == 0.02
    coarse = replace(OUTPUT, dtype=np.dtype(np.int8), scale=1 / 64)
    assert sum_tolerance(coarse) == pytest.approx(4 / 128)
    assert judged(0.7, 0.1, 0.1, 0.13, output=coarse)
    assert not judged(0.7, 0.1, 0.1, 0.132, output=coarse)
    assert sum_tolerance(replace(coarse, shape=(1, None))) == 0.02


def test_fractions_are_from_zero_to_one_up_to_rounding() -> None:
    for value, expected in ((-0.0009, True), (-0.0011, False), (1.0009, True), (1.0011, False), (math.nan, False)):
        assert are_fractions(np.array([[0.5, value]], np.float32)) is expected, value


@pytest.mark.parametrize(
    ("image", "output", "problem"),
    [
        (IMAGE, OUTPUT, ""),
        (replace(IMAGE, shape=(None, None, None, None)), OUTPUT, ""),
        (replace(IMAGE, shape=(1, 3, 96, 64)), replace(OUTPUT, shape=(None, 4)), ""),
        (replace(IMAGE, shape=(1, 96, 64)), OUTPUT, ""),
        (replace(IMAGE, shape=(None, 784)), OUTPUT, ""),
        (replace(IMAGE, shape=(1, 3072)), OUTPUT, ""),  # 32 x 32 x 3
        (replace(IMAGE, shape=(1, 64)), OUTPUT, ""),
        (replace(IMAGE, shape=(1, 49)), OUTPUT, "four axes"),  # too few values to be an image
        (replace(IMAGE, shape=(1, 785)), OUTPUT, "four axes"),
        (replace(IMAGE, shape=(1, None)), OUTPUT, "four axes"),
        (replace(IMAGE, shape=(8, 96, 64)), OUTPUT, "it only takes batches of 8; convert"),
        (replace(IMAGE, shape=(1, 96, 64, 3, 1)), OUTPUT, "four axes"),
        (replace(IMAGE, shape=(1, 96, 64, 2)), OUTPUT, "four axes"),
        (replace(IMAGE, shape=(2, 96, 64, 3)), OUTPUT, "it only takes batches of 2; convert"),
        (
            replace(IMAGE, dtype=np.dtype(np.float64)),
            OUTPUT,
            "expected an input of uint8, int8, int16, float16 or float32",
        ),
        (replace(IMAGE, dtype=np.dtype(np.int16)), OUTPUT, ""),
        (replace(IMAGE, dtype=np.dtype(np.float16)), OUTPUT, ""),
        (IMAGE, replace(OUTPUT, dtype=np.dtype(np.int64)), "integers without a scale"),
        (IMAGE, replace(OUTPUT, dtype=np.dtype(np.int8), scale=0.1), ""),
        (IMAGE, replace(OUTPUT, shape=(4,)), ""),  # of a batch of 1
        (IMAGE, replace(OUTPUT, shape=(4, 1)), "its output has no batch axis"),
        (IMAGE, replace(OUTPUT, shape=()), ""),
    ],
)
def test_tensors_of_an_image_classifier(image: TensorSpec, output: TensorSpec, problem: str) -> None:
    if not problem:
        inspections._check_classifier(Path("m"), image, output)
        return
    with pytest.raises(ArtifactError, match=f"'m' is not an image classifier: .*{problem}"):
        inspections._check_classifier(Path("m"), image, output)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["0 cat", "1 dog"], ("cat", "dog")),
        (["0  background", "1  hot dog", "2  7 up"], ("background", "hot dog", "7 up")),
        (["0: cat", "1: dog"], ("cat", "dog")),
        (["0,cat", "1,dog", ""], ("cat", "dog")),
        (["1\tcat", "2\tdog"], ("cat", "dog")),
        (["1 dog", "0 cat"], ("cat", "dog")),  # the number counts
        (["0 cat"], ("cat",)),
        (["0 cat", "2 dog"], ("0 cat", "2 dog")),  # not every number: part of the names
        (["0 cat", "0 dog"], ("0 cat", "0 dog")),
        (["1 Euro", "2 Euro"], ("1 Euro", "2 Euro")),  # the number is all that tells them apart
        (["0 degrees", "1 degrees", "2 degrees"], ("0 degrees", "1 degrees", "2 degrees")),
        (["0 cat", "dog"], ("0 cat", "dog")),
        (["2 cat", "3 dog"], ("2 cat", "3 dog")),
        (["0", "1"], ("0", "1")),
        (["0cat", "1dog"], ("0cat", "1dog")),
        (["101 dalmatians"], ("101 dalmatians",)),
        (["n01440764 tench", "n01443537 goldfish"], ("n01440764 tench", "n01443537 goldfish")),
        (["crane", "crane"], ("crane", "crane")),
        ([], ()),
    ],
)
def test_numbers_before_labels_are_not_part_of_them(lines: list[str], expected: tuple[str, ...]) -> None:
    assert trim_labels(lines) == expected
