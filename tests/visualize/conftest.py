"""A run that all tests of this room look into."""

from pathlib import Path
from typing import Any

import pytest
from faint_sample import train_network, write_run

from tledge.core.run_directory import RunDirectory


@pytest.fixture(scope="session")
def faint_network() -> Any:
    """Reads stripes of 48 px that a change of a few pixel values turns about."""
    pytest.importorskip("keras")
    return train_network()


@pytest.fixture(scope="session")
def faint_run(faint_network: Any, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A finished run of that network, with float32.tflite and int8.tflite; not to be changed."""
    from tledge.export import export

    runs: Path = tmp_path_factory.mktemp("faint") / "runs"
    directory = write_run(RunDirectory(runs / "faint"), faint_network)
    export(quantize=["float32", "int8"], formats=["tflite"], run="faint", runs=runs, calibration_images=40)
    return directory
