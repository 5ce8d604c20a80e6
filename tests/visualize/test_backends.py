"""The same on JAX, without TensorFlow: a process of its own, since a backend is chosen when it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tledge.core.run_directory import RunDirectory
from tledge.visualize import visualize

ON_JAX = """
import json, sys
from pathlib import Path
from tledge.visualize import visualize
run, output = map(Path, sys.argv[1:])
record = visualize(run=run, output=output, artifacts=["float32.tflite"], seed=3, tv=3, jitter=4)
import keras
found = record.to_dict()
print(json.dumps({**found["figures"], "backend": keras.backend.backend(), "tensorflow": "tensorflow" in sys.modules}))
"""


@pytest.mark.slow
def test_jax_sees_the_same(faint_run: RunDirectory, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(faint_run.path), str(tmp_path / "jax")],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(done.stdout.splitlines()[-1])
    assert there["backend"] == "jax"
    assert not there["tensorflow"]
    here = visualize(
        run=faint_run.path, output=tmp_path / "tf", artifacts=["float32.tflite"], seed=3, tv=3, jitter=4
    ).to_dict()["figures"]
    for item in there["ideal"]["classes"]:
        assert item["score"] >= 0.99
        assert item["total_variation_ratio"] <= 0.1
    assert [photo["eps"] for photo in there["adversarial"]["photos"]] == [
        photo["eps"] for photo in here["adversarial"]["photos"]
    ]
    assert there["confusions"]["artifacts"][0]["wrong"] == here["confusions"]["artifacts"][0]["wrong"]
    for one, other in zip(there["saliency"]["photos"], here["saliency"]["photos"], strict=True):
        assert one["photo"] == other["photo"]
        assert one["grad_cam_to_occlusion"] == pytest.approx(other["grad_cam_to_occlusion"], abs=0.02)
    strongest = [
        [channel["mean"] for channel in found["features"]["photos"][0]["layers"][-1]["strongest"]]
        for found in (there, here)
    ]
    np.testing.assert_allclose(*strongest, rtol=1e-3)
