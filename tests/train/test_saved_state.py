"""What a training keeps on disk to be resumed, and what an earlier version of it looks like."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tledge.core.errors import RunError
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory, in_progress
from tledge.train.best_weights import BestWeights
from tledge.train.checkpoint import Checkpoint
from tledge.train.evaluation import Evaluation
from tledge.train.history import FINE_TUNE, PROBE, Epoch, write_history
from tledge.train.report.evaluation_record import EvaluationRecord, write_evaluation
from tledge.train.resume import UnfinishedRun, find_unfinished, is_unfinished, unfinished_path

pytestmark = pytest.mark.unit

HISTORY = (Epoch(PROBE, 1, 1.0, 0.5, 0.9, 0.6, 1.25), Epoch(FINE_TUNE, 1, 0.5, 0.75, 0.4, 0.8, 2.5, 0.7, 0.6))

SETTINGS = {
    **{"data": "photos", "built_in": False, "backbone": "mobilenet", "alpha": 0.25, "weights": "w.h5"},
    **{"image_size": 32, "resize": "crop", "validation_fraction": 0.15, "test_fraction": 0.2, "skip_broken": True},
    **{"fine_tune": True, "fine_tune_from": "4", "adversarial": None, "probe_epochs": 100, "epochs": 6},
    **{"batch_size": 8, "learning_rate": 0.001, "warm_up": 0.1, "weight_decay": 0.0001, "label_smoothing": 0.1},
    **{"patience": 3, "augment": True, "flip": True, "crop": 0.7, "rotation": 10.0, "colour": 0.2},
    **{"class_weights": True, "precision": "float32", "devices": None, "coordinator": None, "hosts": 1, "host": 0},
    **{"tensorboard": False, "seed": 0},
}
UNFINISHED = {
    "schema_version": 1,
    "settings": SETTINGS,
    "data": {
        **{"source": "photos", "fingerprint": "f" * 64, "images": {"a": 5, "b": 6}, "splits": {"train": 7, "test": 4}},
        **{"skipped": ["a/1.jpg"], "contradicted": [], "leaking": [], "near_duplicates": 2},
    },
    "created": "2026-11-24T10:00:00+01:00",
    "backend": "tensorflow",
}


def make_checkpoint() -> Checkpoint:
    rng = np.random.default_rng(0)
    many = [rng.normal(size=(2, 3)).astype(np.float32) for _ in range(12)]
    best = BestWeights(start=many[:2], start_loss=0.9, weights=many[2:4], epoch=1, loss=0.4)
    return Checkpoint(history=HISTORY, weights=many, optimizer=[np.array(7, np.int64), *many[:3]], best=best)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "epoch.npz"
    assert Checkpoint.load(path) is None
    written = make_checkpoint()
    written.save(path)
    found = Checkpoint.load(path)
    assert found is not None
    assert found.history == HISTORY
    assert (found.best.epoch, found.best.loss, found.best.start_loss) == (1, 0.4, 0.9)
    for name in ("weights", "optimizer"):
        for ours, theirs in zip(getattr(found, name), getattr(written, name), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for name in ("start", "weights"):
        for ours, theirs in zip(getattr(found.best, name), getattr(written.best, name), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    replace(written, best=replace(written.best, start_loss=math.inf, loss=math.inf, epoch=0)).save(path)
    found = Checkpoint.load(path)
    assert found is not None
    assert (found.best.epoch, found.best.loss, found.best.start_loss) == (0, math.inf, math.inf)


def test_the_checkpoint_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    content = {
        "schema_version": 1,
        "history": [{"phase": PROBE, "epoch": 1, "loss": 1, "top1": 0.5, "val_loss": 0.9, "val_top1": 1, "seconds": 1}],
        **{"best_epoch": 1, "best_loss": 0.25, "start_loss": math.inf},
    }
    arrays = {
        f"{name}/00000": np.array([number]) for number, name in enumerate(("weights", "optimizer", "start", "best"))
    }
    np.savez(tmp_path / "epoch.npz", told=np.frombuffer(json.dumps(content).encode(), np.uint8), **arrays)
    found = Checkpoint.load(tmp_path / "epoch.npz")
    assert found is not None
    assert (found.best.epoch, found.best.loss, found.best.start_loss) == (1, 0.25, math.inf)
    assert [int(a[0][0]) for a in (found.weights, found.optimizer, found.best.start, found.best.weights)] == [
        0,
        1,
        2,
        3,
    ]
    assert found.history == (Epoch(PROBE, 1, 1.0, 0.5, 0.9, 1.0, 1.0),)


def test_checkpoints_that_cannot_be_read_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "epoch.npz"
    wrong = {"schema_version": 9, "history": [], "best_epoch": 0, "best_loss": 1.0, "start_loss": 1.0}
    np.savez(path, metadata=np.frombuffer(json.dumps(wrong).encode(), np.uint8))
    with pytest.raises(
        RunError,
        match=r"cannot read '.*epoch.npz': it has schema version 9; this tledge reads version 1; use the tledge",
    ):
        Checkpoint.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(RunError, match=r"cannot read '.*epoch.npz': .*; remove its run and train again"):
        Checkpoint.load(path)
    make_checkpoint().save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"cannot read '.*epoch.npz'"):
        Checkpoint.load(path)


def test_an_unfinished_run_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "begun.json"
    path.write_text(json.dumps(UNFINISHED))
    found = UnfinishedRun.load(path)
    assert found.settings.input_size == (32, 32)
    assert found.data.skipped == ("a/1.jpg",)
    assert (found.created, found.backend) == ("2026-11-24T10:00:00+01:00", "tensorflow")
    found.save(path)
    added = {"license": None, "dataset_name": None}
    data = UNFINISHED["data"] | {"left_out": {}, "archive_sha256": "", "name": ""}
    assert json.loads(path.read_text()) == {**UNFINISHED, "settings": SETTINGS | added, "data": data}


def test_an_unfinished_run_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "begun.json"
    broken = [
        {**UNFINISHED, "schema_version": 2},
        {**UNFINISHED, "settings": {**SETTINGS, "epochs": "many"}},
        {name: value for name, value in UNFINISHED.items() if name != "data"},
        [],
    ]
    for content in broken:
        path.write_text(json.dumps(content))
        with pytest.raises(RunError, match=r"cannot read '.*begun.json': .*remove its run and train again"):
            UnfinishedRun.load(path)


def make_run(path: Path, *, started: bool = True, finished: bool = False) -> RunDirectory:
    run = RunDirectory(path)
    path.mkdir(parents=True)
    if started:
        unfinished_path(run).parent.mkdir()
        unfinished_path(run).write_text("{}")
    if finished:
        run.manifest_path.write_text("{}")
    return run


def test_the_newest_unfinished_run_is_resumed(tmp_path: Path) -> None:
    make_run(tmp_path / "20260101-old")
    newest = make_run(tmp_path / "20260102-newer")
    make_run(tmp_path / "20260103-finished", finished=True)
    make_run(tmp_path / "20260104-never-started", started=False)
    (tmp_path / "latest").symlink_to("20260101-old", target_is_directory=True)
    assert find_unfinished(tmp_path, None) == newest
    assert find_unfinished(tmp_path, "20260101-old").path.name == "20260101-old"
    assert find_unfinished(tmp_path, tmp_path / "20260101-old").path == tmp_path / "20260101-old"
    assert is_unfinished(newest)
    assert not is_unfinished(RunDirectory(tmp_path / "20260103-finished"))


def test_runs_killed_before_they_could_be_resumed_are_removed(tmp_path: Path) -> None:
    unfinished = make_run(tmp_path / "20260101-000000-a")
    killed = make_run(tmp_path / "20260102-000000-b", started=False)
    (killed.path / "splits.json").write_text("{}")
    cut_off = make_run(tmp_path / "20260103-000000-c")
    unfinished_path(cut_off).write_text('{"schema_version": 1, "sett')
    live = make_run(tmp_path / "20260104-000000-d", started=False)
    photos = make_run(tmp_path / "20260105-000000-e", started=False)
    (photos.path / "mine.txt").write_text("not a file of a run")
    trained = make_run(tmp_path / "20260106-000000-f", started=False)
    trained.model.write_text("a model without its record")
    kept = make_run(tmp_path / "20260107-000000-g")
    unfinished_path(kept).write_text("cut off")
    (kept.checkpoints / "epoch.npz").write_text("a checkpoint")
    notes: list[str] = []

    class Notes(Progress):
        def note(self, label: str, text: str) -> None:
            notes.append(f"{label}: {text}")

    with in_progress(live):
        assert find_unfinished(tmp_path, None, Notes()) == kept
    left = {path.name[-1] for path in tmp_path.iterdir()}
    assert left == {"a", "d", "e", "f", "g"}
    assert sorted(notes) == [
        f"Removed: '{run.path}', which was killed before it could be resumed" for run in (killed, cut_off)
    ]
    unfinished_path(kept).unlink()
    assert find_unfinished(tmp_path, None) == unfinished


def test_a_run_of_a_live_process_is_not_resumed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "20260101-000000-a")
    with in_progress(run), pytest.raises(RunError, match="no unfinished run in '.*' but 1 run of other processes"):
        find_unfinished(tmp_path, None)
    assert find_unfinished(tmp_path, None) == run


def test_a_run_that_cannot_be_resumed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no unfinished run in '.*none': there is nothing to resume; leave out `resume`"):
        find_unfinished(tmp_path / "none", None)
    make_run(tmp_path / "finished", finished=True)
    with pytest.raises(RunError, match="no unfinished run in '"):
        find_unfinished(tmp_path, None)
    with pytest.raises(RunError, match="'.*finished' is finished: there is nothing to resume; leave out `resume`"):
        find_unfinished(tmp_path, "finished")
    make_run(tmp_path / "never-started", started=False)
    for name in ("never-started", "gone"):
        with pytest.raises(RunError, match=f"'.*{name}' is not an unfinished run: .* or leave out `run`"):
            find_unfinished(tmp_path, name)


def test_an_evaluation_is_written_class_by_class(tmp_path: Path) -> None:
    evaluation = Evaluation(np.eye(3)[[0, 1, 1, 1]], np.array([0, 0, 1, 1], np.intp))
    write_evaluation(tmp_path / "evaluation.json", evaluation, ("a", "b", "c"))
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content == {
        "schema_version": 1,
        "split": "test",
        "photos": 4,
        "top1": 0.75,
        "top1_interval": list(evaluation.top1_interval),
        "loss": evaluation.loss,
        "calibration_error": evaluation.calibration_error,
        "classes": [
            {"name": "a", "photos": 2, "precision": 1.0, "recall": 0.5},
            {"name": "b", "photos": 2, "precision": pytest.approx(2 / 3), "recall": 1.0},
            {"name": "c", "photos": 0, "precision": None, "recall": None},
        ],
        "confusion": [[1, 1, 0], [0, 2, 0], [0, 0, 0]],
    }
    assert EvaluationRecord.load(tmp_path / "evaluation.json").classes[2].recall is None


def test_columns_that_no_epoch_has_a_value_for_are_left_out(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", HISTORY[:1])
    assert (tmp_path / "history.csv").read_text() == (
        "phase,epoch,loss,top1,val_loss,val_top1,seconds\nlinear probe,1,1.0,0.5,0.9,0.6,1.25\n"
    )
    write_history(tmp_path / "history.csv", HISTORY)
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0].endswith("seconds,val_robust_loss,val_robust_accuracy")
    assert lines[1].endswith(",1.25,,")
    assert lines[2].endswith(",2.5,0.7,0.6")
