"""Damaged photos through the commands: each is classified or reported, and none ends a command in another way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from command_trials import CommandForks
from support import write_stripes


def test_mutated_photos_are_classified_or_reported(tmp_path: Path, tiny_artifacts: Path, scale: int) -> None:
    write_stripes(tmp_path / "whole", per_class=1)
    whole = sorted((tmp_path / "whole").rglob("*.jpg"))[0].read_bytes()
    random = np.random.default_rng(0)
    (tmp_path / "damaged").mkdir()
    for number in range(5 * scale):
        content = bytearray(whole)
        for place in random.integers(0, len(content), 8):
            content[place] = random.integers(256)
        (tmp_path / "damaged" / f"{number:05}.jpg").write_bytes(content)
    with CommandForks() as commands:
        trial = commands.run("predict", tiny_artifacts / "float32.tflite", "damaged", cwd=tmp_path)
    assert not trial.faults(), trial
