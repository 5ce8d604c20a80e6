"""The same training on TensorFlow and on JAX, on one device, on two, and on two hosts.

Each is a process of its own: a backend is chosen and its devices are made when it starts.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import ROOT, lazy_module, write_random_weights

lazy_module("keras")
lazy_module("jax")

WITHOUT_TENSORFLOW = ROOT / "tests" / "train" / "without_tensorflow"

TRAINING = """
import csv, json, sys
from pathlib import Path
from tledge.train import train
options = json.loads(sys.argv[1])
manifest = train(**options)
history = Path(options["runs"]) / manifest.name / "history.csv"
rows = list(csv.DictReader(history.open())) if history.exists() else []
print(json.dumps({"metrics": manifest.metrics, "device": manifest.device, "rows": rows, "loaded": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.weights.h5", "vgg16")


@dataclass
class Training:
    """A process that trains, and where it writes."""

    process: subprocess.Popen[bytes]
    output: Path

    def errors(self) -> str:
        self.process.wait(timeout=900)
        return self.output.with_suffix(".err").read_text()

    def finish(self) -> dict[str, object]:
        err = self.errors()
        assert self.process.returncode == 0, err[-3000:]
        result: dict[str, object] = json.loads(self.output.with_suffix(".out").read_text().splitlines()[-1])
        return result


def start(photos: Path, weights: Path, runs: Path, backend: str, **options: object) -> Training:
    """Two epochs of the uppermost convolutions, without anything random but the order."""
    request = {
        "data": str(photos),
        "backbone": "vgg16",
        "weights": str(weights),
        "image_size": 32,
        "batch_size": 8,
        "epochs": 2,
        "learning_rate": 1e-4,
        "fine_tune_from": "5",
        "runs": str(runs),
        **options,
    }
    hidden = [str(WITHOUT_TENSORFLOW)] if backend == "jax" else []
    path = os.pathsep.join([*hidden, *filter(None, [os.environ.get("PYTHONPATH")])])
    output = runs.with_name(f"{runs.name}-{options.get('host', 0)}")
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, json.dumps(request)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
        stdout=output.with_suffix(".out").open("w"),  # no pipe: one that nobody reads would stop a process half-way
        stderr=output.with_suffix(".err").open("w"),
    )
    return Training(process, output)


def losses(result: dict[str, object]) -> list[float]:
    rows = result["rows"]
    assert isinstance(rows, list)
    found = [float(row[name]) for row in rows if row["phase"] == "fine-tune" for name in ("loss", "val_loss")]
    assert len(found) == 4
    return found


@pytest.fixture(scope="module")
def alone(photos: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What each backend reaches on one device."""
    runs = tmp_path_factory.mktemp("alone")
    return {backend: start(photos, weights, runs / backend, backend).finish() for backend in ("tensorflow", "jax")}


@pytest.mark.slow
def test_both_backends_learn_the_same(alone: dict[str, dict[str, object]]) -> None:
    assert losses(alone["jax"]) == pytest.approx(losses(alone["tensorflow"]), rel=2e-3, abs=1e-5)
    assert "JAX on CPU" in str(alone["jax"]["device"])
    loaded = alone["jax"]["loaded"]
    assert isinstance(loaded, list)
    assert not [name for name in loaded if name.startswith(("tensorflow.", "tensorflow_"))]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_reach_the_loss_of_one(
    backend: str, alone: dict[str, dict[str, object]], photos: Path, weights: Path, tmp_path: Path
) -> None:
    shared = start(photos, weights, tmp_path / "runs", backend, devices=2).finish()
    assert "2 x CPU" in str(shared["device"])
    # AdamW makes steps of full length of gradients near nothing: rounding shows, on TensorFlow more than on JAX.
    near = 1e-2 if backend == "tensorflow" else 1e-4
    assert losses(shared) == pytest.approx(losses(alone[backend]), rel=near, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_both_backends_train_against_attacks(
    backend: str, devices: int, photos: Path, weights: Path, tmp_path: Path
) -> None:
    options = {"adversarial": 2, "devices": devices, "epochs": 3, "learning_rate": 1e-3}
    result = start(photos, weights, tmp_path / "runs", backend, **options).finish()
    rows = result["rows"]
    assert isinstance(rows, list)
    epochs = [row for row in rows if row["phase"] == "fine-tune"]
    assert all(0 <= float(row["val_robust_accuracy"]) <= float(row["val_top1"]) for row in epochs)
    assert float(epochs[-1]["val_robust_loss"]) < float(epochs[0]["val_robust_loss"])


@pytest.mark.slow
def test_two_hosts_reach_the_loss_of_one(
    alone: dict[str, dict[str, object]], photos: Path, weights: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [
        start(photos, weights, tmp_path / "runs", "jax", hosts=2, host=host, coordinator=coordinator)
        for host in range(2)
    ]
    first, second = (process.finish() for process in processes)
    assert losses(first) == pytest.approx(losses(alone["jax"]), rel=1e-4, abs=1e-5)
    assert "2 hosts" in str(first["device"])
    metrics = [result["metrics"] for result in (first, second)]
    for one, other in zip(*({k: v for k, v in m.items() if "_top1" in k}.items() for m in metrics), strict=True):  # type: ignore[attr-defined]
        assert one == other
    assert len([path for path in (tmp_path / "runs").iterdir() if path.name[:2] == "20"]) == 1, (
        "one host writes the run"
    )


def test_several_hosts_need_jax(photos: Path, weights: Path, tmp_path: Path) -> None:
    process = start(photos, weights, tmp_path / "runs", "tensorflow", hosts=2, host=1, coordinator="127.0.0.1:1")
    assert "TargetError: training on several hosts needs JAX; Keras runs on TensorFlow" in process.errors()


def test_more_devices_than_there_are_is_said(photos: Path, weights: Path, tmp_path: Path) -> None:
    from tledge.core.errors import OptionError
    from tledge.train.backend import Devices

    with pytest.raises(OptionError, match="`devices=99` is too many: this machine has 1"):
        Devices(99)
