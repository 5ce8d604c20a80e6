import math

import pytest

from tledge.attacks.corruptions import mean_corruption_error
from tledge.core.errors import MeasurementError

pytestmark = pytest.mark.unit


def test_errors_are_summed_over_severities_and_averaged_over_corruptions() -> None:
    scored = mean_corruption_error(
        {"fog": (0.1, 0.2, 0.3, 0.4, 0.5), "snow": [0.2, 0.2, 0.2, 0.2, 0.2]},
        {"fog": (0.05, 0.1, 0.15, 0.2, 0.25), "snow": [0.1, 0.3, 0.1, 0.3, 0.2]},
    )
    assert scored.by_corruption == pytest.approx({"fog": 2.0, "snow": 1.0})
    assert scored.value == pytest.approx(1.5)
    assert scored.undefined == ()


def test_a_model_is_as_good_as_itself() -> None:
    errors = {"fog": [0.1, 0.3], "snow": [0.0, 0.2]}
    assert mean_corruption_error(errors, errors).value == pytest.approx(1)


def test_corruptions_without_an_error_of_the_reference_are_left_out_and_named() -> None:
    scored = mean_corruption_error(
        {"fog": [0.3], "snow": [0.1], "frost": [0.0]}, {"fog": [0.2], "snow": [0], "frost": [0]}
    )
    assert scored.value == pytest.approx(1.5)
    assert set(scored.by_corruption) == {"fog"}
    assert scored.undefined == ("snow", "frost")


def test_no_ratio_is_no_number() -> None:
    scored = mean_corruption_error({"fog": [0.3]}, {"fog": [0.0]})
    assert scored.value is None
    assert scored.undefined == ("fog",)


@pytest.mark.parametrize(
    ("errors", "reference", "message"),
    [
        ({}, {}, "received none and none"),
        ({"fog": [0.1]}, {"snow": [0.1]}, "the same corruptions; received fog and snow"),
        ({"fog": [0.1]}, {"fog": [0.1, 0.2]}, "the same severities; received 1 and 2 of fog"),
        ({"fog": []}, {"fog": []}, "received 0 and 0 of fog"),
        ({"fog": [1.2]}, {"fog": [0.1]}, "from 0 to 1; received 1.2 for fog"),
        ({"fog": [0.1]}, {"fog": [math.nan]}, "received nan for fog"),
    ],
)
def test_what_cannot_be_compared_is_rejected(
    errors: dict[str, list[float]], reference: dict[str, list[float]], message: str
) -> None:
    with pytest.raises(MeasurementError, match=message):
        mean_corruption_error(errors, reference)


def test_rates_from_0_to_1_are_taken() -> None:
    scored = mean_corruption_error({"fog": [0, 1]}, {"fog": [1, 1]})
    assert (scored.value, dict(scored.by_corruption), scored.undefined) == (0.5, {"fog": 0.5}, ())
    for rate in (-0.01, 1.01):
        with pytest.raises(MeasurementError, match="from 0 to 1"):
            mean_corruption_error({"fog": [0.5]}, {"fog": [rate]})
        with pytest.raises(MeasurementError, match="from 0 to 1"):
            mean_corruption_error({"fog": [rate]}, {"fog": [0.5]})
    with pytest.raises(MeasurementError, match="the same corruptions; received fog, snow and fog"):
        mean_corruption_error({"snow": [0.1], "fog": [0.1]}, {"fog": [0.1]})
    with pytest.raises(MeasurementError, match="received none and fog"):
        mean_corruption_error({}, {"fog": [0.1]})
