import dataclasses
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import TINY_SIDECAR, modules_after, random_images, stripes

from tledge.core.artifact import write_artifact
from tledge.core.errors import ArtifactError, ImageError, MissingExtraError, OptionError, TargetError, UnknownNameError
from tledge.edge_runtime import Classifier, Prediction, Target, targets_of_this_machine
from tledge.edge_runtime import runtime as runtime_module
from tledge.edge_runtime.runtimes.litert import LiteRTCompiledSession
from tledge.edge_runtime.tensor import softmax

FILES = ["float32.tflite", "float32.onnx", "float32.keras"]


@pytest.mark.parametrize("name", FILES)
def test_logits_are_those_of_the_keras_model(tiny_artifacts: Path, tiny_keras_model: Any, name: str) -> None:
    images = random_images(7, 16)
    expected = tiny_keras_model.predict(images.astype("float32"), verbose=0)
    with Classifier(tiny_artifacts / name) as classifier:
        logits = classifier.logits(images)
        np.testing.assert_allclose(logits, expected, atol=1e-5)
        np.testing.assert_allclose(classifier.logits(images[3:4])[0], expected[3], atol=1e-5)
    assert logits.dtype == np.float32


@pytest.mark.parametrize("name", FILES)
def test_classify_names_the_best_classes_first(tiny_artifacts: Path, tmp_path: Path, name: str) -> None:
    Image.fromarray(stripes(vertical=True, seed=4)).save(tmp_path / "photo.png")
    classifier = Classifier(tiny_artifacts / name)
    every = classifier.classify(tmp_path / "photo.png")
    scores = classifier.probabilities(classifier.load(tmp_path / "photo.png")[np.newaxis])[0]
    assert [item.index for item in every] == np.argsort(-scores).tolist()
    assert [item.label for item in every] == [classifier.class_names[item.index] for item in every]
    assert [item.score for item in every] == sorted(scores.tolist(), reverse=True)
    assert sum(item.score for item in every) == pytest.approx(1, abs=1e-6)
    assert classifier.classify(str(tmp_path / "photo.png"), top=1) == every[:1]
    assert isinstance(every[0], Prediction)


@pytest.mark.parametrize("name", FILES)
def test_threads_that_share_a_classifier_get_their_own_results(tiny_artifacts: Path, name: str) -> None:
    """Without a lock, two of them would write their images into the one input of a LiteRT interpreter."""
    images = random_images(64, 16)
    with Classifier(tiny_artifacts / name, target="keras:cpu" if name.endswith("keras") else None) as classifier:
        expected = [classifier.logits(image[np.newaxis]) for image in images]
        rounds = 2 if name.endswith("keras") else 60

        def mismatches(first: int) -> int:
            places = [(first + step) % len(images) for step in range(rounds * len(images) // 4)]
            results = [classifier.logits(images[place : place + 1]) for place in places]
            return sum(not np.array_equal(got, expected[place]) for got, place in zip(results, places, strict=True))

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(mismatches, range(0, 64, 8))) == 0


@pytest.mark.parametrize("name", FILES)
def test_a_closed_classifier_says_so(tiny_artifacts: Path, name: str) -> None:
    with Classifier(tiny_artifacts / name) as classifier:
        pass
    classifier.close()
    with pytest.raises(OptionError, match="this model was closed .* load it again"):
        classifier.logits(random_images(1, 16))
    assert classifier.class_names == ("cat", "dog", "emu")


def test_closing_waits_for_the_run_of_another_thread(tiny_artifacts: Path) -> None:
    images = random_images(2000, 16)
    classifier = Classifier(tiny_artifacts / "float32.tflite")
    expected = classifier.logits(images)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(classifier.logits, images)
        while not running.running() and not running.done():
            pass
        classifier.close()
        with suppress(OptionError):  # where the run had not started when it was closed
            np.testing.assert_array_equal(running.result(), expected)


@pytest.mark.parametrize("name", FILES)
def test_a_model_is_warm_after_loading_unless_told_otherwise(
    tiny_artifacts: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[tuple[int, ...], int]] = []
    logits = Classifier.logits

    def watched(self: Classifier, batch: Any) -> Any:
        seen.append((batch.shape, int(batch.max())))
        return logits(self, batch)

    monkeypatch.setattr(Classifier, "logits", watched)
    image = random_images(1, 16)
    warm, cold = Classifier(tiny_artifacts / name), Classifier(tiny_artifacts / name, warm_up=False)
    assert seen == [((1, 16, 16, 3), 0)]
    np.testing.assert_array_equal(warm.logits(image), cold.logits(image))


@pytest.mark.parametrize("name", ["float32.tflite", "float32.onnx"])
def test_pixels_reach_the_runtime_without_a_copy(
    tiny_artifacts: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What LiteRT's ``set_tensor`` then copies into its own memory is the only copy; ONNX Runtime makes none."""
    Image.fromarray(stripes(vertical=True, seed=4)).save(tmp_path / "photo.png")
    classifier = Classifier(tiny_artifacts / name)
    pixels = classifier.load(tmp_path / "photo.png")
    given: list[Any] = []
    run = classifier._session.run

    def watched(images: Any) -> Any:
        given.append(images)
        return run(images)

    monkeypatch.setattr(classifier._session, "run", watched)
    assert classifier.classify(pixels) == classifier.classify(tmp_path / "photo.png")
    assert np.shares_memory(given[0], pixels)
    assert given[1].flags.c_contiguous
    assert given[1].dtype == np.uint8


def test_bytes_are_classified_as_their_file(tiny_artifacts: Path, tmp_path: Path) -> None:
    Image.fromarray(stripes(vertical=True, seed=4)).save(tmp_path / "photo.png")
    classifier = Classifier(tiny_artifacts / "float32.tflite")
    assert classifier.classify((tmp_path / "photo.png").read_bytes()) == classifier.classify(tmp_path / "photo.png")


@pytest.mark.unit
def test_softmax_does_not_overflow() -> None:
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0], [-1000.0, 0.0]], np.float32)), [[0.5, 0.5], [0, 1]])


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 16, 16, 3), np.float32),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((1, 16, 17, 3), np.uint8),
        np.zeros((0, 16, 16, 3), np.uint8),
    ],
)
def test_pixels_of_another_kind_are_refused(tiny_artifacts: Path, batch: Any) -> None:
    with pytest.raises(OptionError, match=r"logits\(\) takes uint8 pixels of shape \(N, 16, 16, 3\).*received"):
        Classifier(tiny_artifacts / "float32.tflite").logits(batch)


def test_bad_photos_and_tops_are_refused(tiny_artifacts: Path, tmp_path: Path) -> None:
    classifier = Classifier(tiny_artifacts / "float32.tflite")
    (tmp_path / "x.jpg").write_bytes(b"no photo")
    with pytest.raises(ImageError):
        classifier.classify(tmp_path / "x.jpg")
    with pytest.raises(OptionError, match="`top` must be 1 or more; received 0"):
        classifier.classify(random_images(1, 16)[0], top=0)


def test_targets_are_parsed_and_filled_in(tiny_artifacts: Path) -> None:
    assert Target.parse("litert:cpu:4") == Target("litert", "cpu", 4)
    assert str(Target.parse("litert")) == "litert:cpu"
    assert Classifier(tiny_artifacts / "float32.tflite", target="litert:cpu:1").target == Target("litert", "cpu", 1)
    cores = runtime_module.usable_cores()
    assert Classifier(tiny_artifacts / "float32.onnx").target == Target("onnxruntime", "cpu", cores)


@pytest.mark.unit
@pytest.mark.parametrize("text", ["", "litert:", "litert:cpu:0", "litert:cpu:x", "litert:cpu:1:1", "litert:cpu:-1"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=f"{text}"):
        Target.parse(text)


def test_targets_that_are_not_there_say_why(tiny_artifacts: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown runtime 'litrt'. Did you mean 'litert'"):
        Classifier(tiny_artifacts / "float32.tflite", target="litrt:cpu")
    with pytest.raises(UnknownNameError, match=r"'gpu'.*:device:threads, on this machine .*litert:cpu:\d.*doctor'"):
        Classifier(tiny_artifacts / "float32.tflite", target="gpu")
    with pytest.raises(OptionError, match="litert has no device 'npu'; its devices: cpu"):
        Classifier(tiny_artifacts / "float32.tflite", target="litert:npu")
    with pytest.raises(OptionError, match=r"litert cannot run '.*onnx': it runs .tflite files; try `target='onnxrun"):
        Classifier(tiny_artifacts / "float32.onnx", target="litert:cpu")
    with pytest.raises(OptionError, match="keras takes no thread count"):
        Classifier(tiny_artifacts / "float32.keras", target="keras:cpu:2")
    here = {str(target) for target in targets_of_this_machine()}
    if "onnxruntime:cuda" not in here:
        with pytest.raises(
            TargetError, match=r"'onnxruntime:cuda' is not on this machine: no CUDA provider.*tledge\[cuda"
        ):
            Classifier(tiny_artifacts / "float32.onnx", target="onnxruntime:cuda")
    if "keras:gpu" not in here:
        with pytest.raises(TargetError, match="'keras:gpu' is not on this machine: "):
            Classifier(tiny_artifacts / "float32.keras", target="keras:gpu")


@pytest.mark.parametrize(
    ("target", "reason"),
    [("onnxruntime:tensorrt", "no TensorRT provider"), ("litert:gpu", "no GPU with a driver|no Vulkan")],
)
def test_a_gpu_that_is_not_there_is_an_error_not_a_cpu(tiny_artifacts: Path, target: str, reason: str) -> None:
    if target in {str(found) for found in targets_of_this_machine()}:
        pytest.skip(f"{target} is on this machine")
    name = "float32.onnx" if target.startswith("onnx") else "float32.tflite"
    with pytest.raises(TargetError, match=f"'{target}' is not on this machine: ({reason})"):
        Classifier(tiny_artifacts / name, target=target)


@pytest.mark.parametrize(
    ("name", "provider"),
    [("float32.tflite", "XNNPACK"), ("float32.onnx", "CPUExecutionProvider"), ("float32.keras", "tensorflow cpu:0")],
)
def test_what_runs_is_read_back(tiny_artifacts: Path, name: str, provider: str) -> None:
    assert Classifier(tiny_artifacts / name).provider == provider


def test_the_compiled_model_agrees_with_the_interpreter(tiny_artifacts: Path) -> None:
    """It runs on GPUs, through the same code as here on the CPU."""
    images = random_images(3, 16)
    session = LiteRTCompiledSession(tiny_artifacts / "float32.tflite", Target("litert", "cpu"), 1)
    expected = Classifier(tiny_artifacts / "float32.tflite", target="litert:cpu:1").logits(images)
    np.testing.assert_allclose(session.run(images), expected, atol=1e-5)
    assert session.image.dtype == np.uint8
    session.close()


def test_litert_computes_a_batch_at_once(tiny_artifacts: Path) -> None:
    images = random_images(8, 16)
    expected = Classifier(tiny_artifacts / "float32.tflite").logits(images)
    batched = Classifier(tiny_artifacts / "float32.tflite", batch=4)
    np.testing.assert_allclose(batched.logits(images), expected, atol=1e-5)
    with pytest.raises(OptionError, match="needs multiples of 4 images; received 3"):
        batched.logits(images[:3])


def test_a_runtime_that_is_not_installed_names_its_extra(tiny_artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tledge.core.extras.is_installed", lambda module: module != "onnxruntime")
    with pytest.raises(MissingExtraError, match=r"onnxruntime, not installed here: pip install 'tledge\[onnx\]'"):
        Classifier(tiny_artifacts / "float32.onnx")
    assert "onnxruntime" not in {target.runtime for target in targets_of_this_machine()}


@pytest.mark.parametrize("name", FILES)
def test_a_whole_sidecar_in_a_broken_model_is_an_error(tiny_artifacts: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((tiny_artifacts / name).read_bytes())
    content[100:400] = bytes(300)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError):
        Classifier(tmp_path / name).logits(random_images(1, 16))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "change", [{"input_size": (16, 8)}, {"class_names": ("a", "b")}, {"class_names": tuple("abcd")}]
)
def test_a_sidecar_that_does_not_fit_its_model_is_an_error(
    tiny_artifacts: Path, tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    plain = (tiny_artifacts / ("plain.keras" if name.endswith("keras") else name)).read_bytes()
    if name.endswith("tflite"):
        plain = plain[: plain.index(b"PK\x03\x04")]
    write_artifact(tmp_path / name, plain, dataclasses.replace(TINY_SIDECAR, **change))
    with pytest.raises(ArtifactError, match="the sidecar of '.*' does not match its model: it describes"):
        Classifier(tmp_path / name)


def test_a_copied_file_works_alone(tiny_artifacts: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_artifacts / "float32.tflite", tmp_path / "renamed by me.tflite")
    assert Classifier(tmp_path / "renamed by me.tflite").class_names == ("cat", "dog", "emu")


def test_importing_loads_no_extra() -> None:
    loaded = {name.split(".")[0] for name in modules_after("import tledge.edge_runtime, tledge.core.artifact")}
    assert loaded.isdisjoint(
        {"tensorflow", "keras", "onnx", "onnxruntime", "ai_edge_litert", "typer", "rich", "sklearn"}
    )


def test_classifying_with_tflite_loads_no_tensorflow(tiny_artifacts: Path) -> None:
    code = (
        "from tledge.edge_runtime import Classifier\nimport numpy as np\n"
        f"Classifier({str(tiny_artifacts / 'float32.tflite')!r}).logits(np.zeros((1, 16, 16, 3), np.uint8))"
    )
    loaded = {name.split(".")[0] for name in modules_after(code)}
    assert "ai_edge_litert" in loaded
    assert loaded.isdisjoint({"tensorflow", "keras", "onnx", "onnxruntime", "typer", "rich"})
