import json
import shutil
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support import TINY_SIDECAR, random_images

from tledge.bench.places.emulation import BOARDS, EmulatedMachine, emulated_logits, prepare_root, run_python
from tledge.bench.places.emulation import cache as emulation_cache
from tledge.bench.places.emulation.cache import cache_folder, entry
from tledge.core.artifact import path_beside, write_artifact
from tledge.core.checksum import SIZE, checksum_of
from tledge.core.errors import MeasurementError, OptionError, TargetError, UnknownNameError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.core.sealed_folder import SEAL
from tledge.core.user_cache import building
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.tensor import Logits

WRONG_ROOT = b"\xff\xff\xff\x7f"
"""Where a TFLite file says that its first table is: far outside of it."""


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, which holds nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tledge" / "emulation"


@pytest.fixture(scope="module")
def int8(tiny_keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as int8.tflite, by TensorFlow's own converter."""
    import tensorflow as tf

    pixels = random_images(30, 16, seed=9).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(tiny_keras_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in pixels)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    path = tmp_path_factory.mktemp("int8") / "int8.tflite"
    write_artifact(path, converter.convert(), TINY_SIDECAR)
    return path


def logits_here(artifact: Path, images: Pixels) -> Logits:
    """What this machine answers, one image at a time, on one thread."""
    target = {".tflite": "litert:cpu:1", ".onnx": "onnxruntime:cpu:1"}[artifact.suffix]
    with Classifier(artifact, target=target) as classifier:
        return np.concatenate([classifier.logits(image[np.newaxis]) for image in images])


@pytest.mark.unit
@pytest.mark.parametrize(("name", "core", "part"), [("pi4", "cortex-a72", "0xd08"), ("pi5", "cortex-a76", "0xd0b")])
def test_a_board_tells_of_its_four_cores(name: str, core: str, part: str) -> None:
    board = BOARDS[name]
    assert board.qemu_cpu == core
    *cores, model = board.cpuinfo.split("\n\n")
    assert len(cores) == 4
    for index, block in enumerate(cores):
        fields = {key.strip(): value.strip() for key, value in (line.split(":") for line in block.splitlines())}
        assert fields["processor"] == str(index)
        assert fields["CPU implementer"] == "0x41"
        assert fields["CPU part"] == part
        assert {"fp", "asimd"} <= set(fields["Features"].split())
    assert model == f"Model\t\t: Raspberry Pi {name[-1]} Model B {board.model[-7:]}\n"


@pytest.mark.unit
def test_only_the_pi_5_has_dot_products() -> None:
    assert "asimddp" not in BOARDS["pi4"].features
    assert "asimddp" in BOARDS["pi5"].features


@pytest.mark.unit
@pytest.mark.usefixtures("empty_cache")
def test_an_unknown_board_is_an_error_that_suggests_one() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown board 'pi6'. Did you mean 'pi5'\? Boards: pi4, pi5"):
        prepare_root("pi6")


@pytest.mark.unit
def test_missing_packages_are_named_before_anything_is_written(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("tledge.bench.places.emulation.programs.SYSTEM_FOLDERS", ())
    with pytest.raises(TargetError, match=r"apt-get install qemu-user-static debootstrap dpkg$"):
        prepare_root("pi5")
    assert not empty_cache.exists()


@pytest.mark.usefixtures("empty_cache")
def test_what_no_board_can_run_is_refused(tiny_artifacts: Path) -> None:
    with pytest.raises(OptionError, match=r"'float32.keras' cannot be emulated: boards run .tflite and .onnx files"):
        emulated_logits(tiny_artifacts / "float32.keras", random_images(2, 16), "pi5")
    for images in (random_images(2, 17), random_images(2, 16).astype(np.float32), random_images(0, 16)):
        with pytest.raises(OptionError, match=r"takes uint8 pixels of shape \(N, 16, 16, 3\), N at least 1; received"):
            emulated_logits(tiny_artifacts / "float32.tflite", images, "pi5")


@pytest.mark.unit
def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "tledge" / "emulation"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the specification
    assert cache_folder() == tmp_path / ".cache" / "tledge" / "emulation"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere" / "tledge" / "emulation"


@pytest.mark.unit
@pytest.mark.usefixtures("empty_cache")
def test_other_versions_are_another_entry() -> None:
    assert entry("wheels", {"numpy": "2.4.6"}) == entry("wheels", {"numpy": "2.4.6"})
    assert entry("wheels", {"numpy": "2.4.6"}) != entry("wheels", {"numpy": "2.4.7"})


@pytest.mark.unit
def test_an_entry_is_whole_or_not_there(empty_cache: Path) -> None:
    path = entry("wheels", 1)
    with pytest.raises(KeyboardInterrupt), building(path) as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    assert list(empty_cache.iterdir()) == []
    with building(path) as slower:
        with building(path) as faster:
            (faster / "first").touch()
        (slower / "second").touch()
    assert sorted(file.name for file in path.iterdir()) == [SEAL, "first"]
    assert list(empty_cache.iterdir()) == [path]


@pytest.mark.slow
def test_the_board_has_its_own_cpu_and_this_environments_versions(pi5: EmulatedMachine) -> None:
    code = """
import json, platform
from importlib.metadata import version
from tledge.core.environment import read_environment
names = ("numpy", "pillow", "ai-edge-litert", "onnxruntime")
print(json.dumps([platform.machine(), read_environment().cpu, {name: version(name) for name in names}]))
"""
    done = run_python(pi5, ["-c", code])
    assert done.returncode == 0, done
    names = ("numpy", "pillow", "ai-edge-litert", "onnxruntime")
    expected = ["aarch64", "Raspberry Pi 5 Model B Rev 1.0", {name: version(name) for name in names}]
    assert json.loads(done.stdout) == expected


@pytest.mark.slow
def test_a_damaged_board_is_set_up_again(
    pi5: EmulatedMachine, board_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Notes(Progress):
        def note(self, label: str, text: str) -> None:
            notes.append(text)

    notes: list[str] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(board_cache))
    monkeypatch.setattr(emulation_cache, "_intact", set())
    assert prepare_root("pi5", Notes()) == pi5
    assert notes == [], "emulated programs leave nothing in it"
    monkeypatch.setattr(emulation_cache, "_intact", set())
    wheels = pi5.libraries[0]
    module = wheels / "numpy" / "version.py"
    content = module.read_bytes()
    module.write_bytes(content[: len(content) // 2])
    (pi5.root / "proc" / "cpuinfo").unlink()
    assert prepare_root("pi5", Notes()) == pi5
    assert [note.split("'")[1] for note in notes] == [str(wheels), str(pi5.root)]
    assert (pi5.root / "proc" / "cpuinfo").read_text() == pi5.board.cpuinfo
    assert module.read_bytes() == content


@pytest.mark.slow
def test_what_fails_there_is_told(pi5: EmulatedMachine) -> None:
    done = run_python(pi5, ["-c", "raise SystemExit('no such thing')"])
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no such thing\n")
    with pytest.raises(MeasurementError, match=r"Python on the emulated pi5 did not respond within 1 s"):
        run_python(pi5, ["-c", "import time; time.sleep(60)"], seconds=1)


@pytest.mark.slow
@pytest.mark.usefixtures("pi5")
def test_an_emulated_board_answers_as_this_machine_does(
    board_cache: Path, int8: Path, tiny_artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(board_cache))
    images = random_images(9, 16)
    answers = emulated_logits(int8, images, "pi5")
    assert answers.dtype == np.float32
    np.testing.assert_array_equal(answers, logits_here(int8, images))
    for name in ("float32.tflite", "float32.onnx"):
        answers = emulated_logits(tiny_artifacts / name, images, "pi5")
        np.testing.assert_allclose(answers, logits_here(tiny_artifacts / name, images), rtol=0, atol=1e-4)
    assert len(np.unique(answers, axis=0)) == len(images)
    adopted = tmp_path / "adopted.tflite"  # its sidecar stands beside it only
    shutil.copyfile(int8, adopted)
    with zipfile.ZipFile(int8) as archive:
        adopted.write_bytes(int8.read_bytes()[: min(item.header_offset for item in archive.infolist())])
    record = {**json.loads(path_beside(int8).read_text()), "artifact_sha256": sha256_of_file(adopted)}
    path_beside(adopted).write_text(json.dumps(record))
    np.testing.assert_array_equal(emulated_logits(adopted, images, "pi5"), logits_here(int8, images))


@pytest.mark.slow
@pytest.mark.usefixtures("pi5")
def test_an_artifact_that_fails_on_the_board_leaves_no_process(
    board_cache: Path, tiny_artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(board_cache))
    broken = tmp_path / "float32.tflite"
    content = WRONG_ROOT + (tiny_artifacts / "float32.tflite").read_bytes()[len(WRONG_ROOT) : -SIZE]
    broken.write_bytes(content + bytes(checksum_of(content)))
    with pytest.raises(MeasurementError, match=r"'float32.tflite' on the emulated pi5 (was )?ended"):
        emulated_logits(broken, random_images(4, 16), "pi5")
    assert [child for child in psutil.Process().children() if "qemu" in child.name()] == []
