"""How long is measured: the presets, and what options change of them."""

from __future__ import annotations

from typing import Any

import pytest

from tledge.bench.measure.durations import DURATION_PRESETS, plan_duration
from tledge.bench.results.bench_options import BenchOptions, MeasurementOptions
from tledge.bench.results.cell_result import Timing
from tledge.core.errors import OptionError, UnknownNameError

pytestmark = pytest.mark.unit


def planned(rigor: str = "quick", **options: Any) -> Any:
    return plan_duration(MeasurementOptions(rigor=rigor, **options))


def test_the_presets() -> None:
    quick = planned()
    assert (quick.rounds, quick.seconds, quick.queries) == (5, 2.0, 100)
    assert quick.timing == Timing(
        warm_up=10, minimum_queries=20, minimum_seconds=0.4, batch_sizes=(1, 8), batch_seconds=0.2
    )
    mlperf = planned("mlperf")
    assert (mlperf.rounds, mlperf.seconds, mlperf.queries) == (3, 180.0, 3072)
    assert mlperf.timing == Timing(
        warm_up=10, minimum_queries=1024, minimum_seconds=60.0, batch_sizes=(1, 8), batch_seconds=10.0
    )
    assert list(DURATION_PRESETS) == ["quick", "mlperf"]
    with pytest.raises(UnknownNameError, match="unknown rigor 'quik'"):
        planned("quik")


def test_rounds_share_the_quick_preset_and_multiply_the_fixed_one() -> None:
    quick, mlperf = planned(rounds=3), planned("mlperf", rounds=5)
    assert (quick.seconds, quick.queries) == (2.0, 100)
    assert (quick.timing.minimum_queries, quick.timing.minimum_seconds) == (34, pytest.approx(2 / 3))
    assert (mlperf.seconds, mlperf.queries) == (pytest.approx(300.0), 5120)
    assert (mlperf.timing.minimum_queries, mlperf.timing.minimum_seconds) == (1024, pytest.approx(60.0))


def test_batches_take_no_longer_than_a_rounds_queries() -> None:
    assert planned(seconds=5.0).timing.batch_seconds == 0.2
    assert planned(seconds=0.5).timing.batch_seconds == pytest.approx(0.1)
    assert planned(seconds=0.5).seconds == 0.5


def test_a_fixed_preset_keeps_its_durations() -> None:
    with pytest.raises(OptionError) as error:
        planned("mlperf", seconds=2.5)
    assert str(error.value) == "`rigor='mlperf'` has fixed durations; leave `seconds=2.5` out"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": 0}, "`seconds` must be above 0 and at most 3600; received 0"),
        ({"seconds": -1.0}, "`seconds` must be above 0 and at most 3600; received -1.0"),
        ({"seconds": 3600.5}, "`seconds` must be above 0 and at most 3600; received 3600.5"),
        ({"rounds": 0}, "`rounds` must be between 1 and 100; received 0"),
        ({"rounds": 101}, "`rounds` must be between 1 and 100; received 101"),
        ({"batch_sizes": [1, 0]}, "`batch_sizes` must be between 1 and 4096; received 0"),
        ({"batch_sizes": [4097, 0]}, "`batch_sizes` must be between 1 and 4096; received 4097"),
        ({"rigor": "mlperf", "rounds": 0}, "`rounds` must be between 1 and 100; received 0"),
    ],
)
def test_durations_out_of_range_are_an_error(options: Any, message: str) -> None:
    with pytest.raises(OptionError) as error:
        BenchOptions(**options)
    assert str(error.value) == message


def test_durations_at_the_ends_of_the_range() -> None:
    BenchOptions(seconds=3600, rounds=100, batch_sizes=(1, 4096))
    BenchOptions(seconds=1e-6, rounds=1)
    assert planned(seconds=3600, rounds=100).rounds == 100
    assert planned(seconds=1e-6, rounds=1).timing.minimum_queries == 100
    assert planned(batch_sizes=[1, 4096]).timing.batch_sizes == (1, 4096)
    assert planned(batch_sizes=[]).timing.batch_sizes == ()
