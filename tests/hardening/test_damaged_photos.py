"""Damaged photos through the commands: each is classified or reported, and none ends a command in another way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from command_trials import CommandForks
from photo_kinds import KINDS, picture

from tledge.core.extras import is_installed

MOST_MEMORY = 350_000_000
"""Bytes of a process that classifies photos with a small model, whatever they are."""

HEADER = 200
"""Bytes at the start of a file that say what is in it."""


def damaged(whole: bytes, random: np.random.Generator) -> bytes:
    """A file that was cut off, or has other bytes anywhere or in its header."""
    content = bytearray(whole)
    way = random.integers(3)
    if way == 0:
        return bytes(content[: random.integers(1, len(content))])
    for place in random.integers(0, len(content) if way == 1 else min(HEADER, len(content)), 8):
        content[place] = random.integers(256)
    return bytes(content)


def write_damaged(folder: Path, count: int, seed: int = 0) -> int:
    """Writes this many damaged photos of each kind; returns how many there are."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for kind, make in KINDS.items():
        if kind.startswith("heif") and not is_installed("pillow_heif"):
            continue
        whole = make(picture(120, 90))
        for number in range(count):
            (folder / f"{kind}-{number:05}.{kind.partition('-')[0]}").write_bytes(damaged(whole, random))
            made += 1
    return made


def test_mutated_photos_are_classified_or_reported(tmp_path: Path, tiny_artifacts: Path, scale: int) -> None:
    """Two for each of the kinds of photos, 100 in all."""
    made = write_damaged(tmp_path / "damaged", 2 * scale)
    with CommandForks() as commands:
        trial = commands.run("predict", tiny_artifacts / "float32.tflite", "damaged", cwd=tmp_path, limit_s=30 * scale)
    print(f"{made:,} damaged photos: {trial.seconds:.1f} s, {trial.peak_bytes / 1e6:.0f} MB; {trial.err[-200:]}")
    assert not trial.faults(), trial
    assert trial.peak_bytes < MOST_MEMORY


def test_mutated_photos_are_skipped_by_training_and_named_by_a_benchmark(
    tmp_path: Path, tiny_artifacts: Path, scale: int
) -> None:
    photos = tmp_path / "photos"
    for first, name in enumerate(("cat", "dog", "emu")):
        write_damaged(photos / name, scale, seed=first)
        for number in range(first * 12, first * 12 + 12):
            picture(60, 50, number).save(photos / name / f"good-{number}.png")
    train = ("train", "--data", "photos", "--weights", "none", "--backbone", "mobilenet", "--alpha", "0.25")
    short = ("--image-size", "32", "--epochs", "1")
    model, quick = tiny_artifacts / "float32.tflite", ("--rounds", "1", "--seconds", "0.05")
    limit_s = 120.0 + 30 * scale
    with CommandForks() as commands:
        refused = commands.run(*train, *short, cwd=tmp_path, limit_s=limit_s)
        trained = commands.run(*train, *short, "--skip-broken", cwd=tmp_path, limit_s=limit_s)
        bench = commands.run("bench", model, "--data", "photos", *quick, cwd=tmp_path, limit_s=limit_s)
    for trial in (refused, trained, bench):
        assert not trial.faults(), trial
    assert refused.code == 1
    assert "broken images: " in refused.err
    assert trained.code == 0, trained
    assert bench.code == 1
    assert "broken images: " in bench.err
