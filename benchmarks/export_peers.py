"""Our int8 artifacts against what the stock tools make of the same Keras model, side by side in one run.

    python benchmarks/export_peers.py [--run runs/latest] [--rounds 200]

The run needs ``int8.tflite`` and ``int8.onnx`` (``tledge export --quantize int8``). The peers get the same 200
calibration photos and are called as their own examples do:

* TensorFlow's ``TFLiteConverter`` with default optimizations and a representative data set;
* ai-edge-quantizer with its recipe ``static_wi8_ai8``, on the float TFLite file;
* ONNX Runtime's ``quantize_static`` in QDQ format, per channel, after its ``quant_pre_process``, on a tf2onnx file.

Accuracy is that of the validation and test photos together. Latencies are taken in a process without TensorFlow, one
image a query on one thread, all artifacts in turn in each round, so that what slows the machine slows them alike.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.image_batches import batches
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory, find_run
from tledge.export.calibration import load_calibration

NAMES = {
    "float32.tflite": "float32, tledge",
    "tflite_converter.tflite": "int8, TFLiteConverter",
    "ai_edge_quantizer.tflite": "int8, ai-edge-quantizer",
    "int8.tflite": "int8, tledge",
    "float32.onnx": "float32, tledge",
    "quantize_static.onnx": "int8, quantize_static",
    "int8.onnx": "int8, tledge",
}
"""What is compared, in the order of the table."""


def make_peers(run: RunDirectory, folder: Path) -> None:
    """Exports the run's model by the stock tools."""
    import keras
    import tensorflow as tf

    manifest = run.manifest()
    pixels, _ = load_calibration(
        run.splits(),
        images=200,
        seed=manifest.seed,
        size=manifest.input_size,
        resize=manifest.resize,
        progress=Progress(),
    )
    images = pixels.astype(np.float32)[:, np.newaxis]
    model = keras.saving.load_model(run.model, compile=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    floats = converter.convert()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in images)
    (folder / "tflite_converter.tflite").write_bytes(converter.convert())
    _by_ai_edge_quantizer(folder, floats, images)
    _by_quantize_static(folder, model, images)


def _by_ai_edge_quantizer(folder: Path, floats: bytes, images: Any) -> None:
    from ai_edge_quantizer import quantizer, recipe

    path = folder / "floats.model"
    path.write_bytes(floats)
    tool = quantizer.Quantizer(str(path))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    signature = "serving_default"
    (name,) = _signature_inputs(floats, signature)
    ranges = tool.calibrate({signature: [{name: image} for image in images]})
    tool.quantize(ranges).export_model(str(folder / "ai_edge_quantizer.tflite"))


def _signature_inputs(model: bytes, signature: str) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter

    inputs: list[str] = Interpreter(model_content=model).get_signature_list()[signature]["inputs"]
    return inputs


def _by_quantize_static(folder: Path, model: Any, images: Any) -> None:
    import tensorflow as tf
    import tf2onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._images: Iterator[Any] = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._images, None)
            return None if image is None else {"image": image}

    signature = (tf.TensorSpec((None, *model.input.shape[1:]), tf.float32, name="image"),)
    infer = tf.function(lambda image: model(image, training=False), input_signature=signature)
    floats, prepared = folder / "floats.proto", folder / "prepared.proto"
    tf2onnx.convert.from_function(infer, input_signature=signature, opset=17, output_path=str(floats))
    quant_pre_process(str(floats), str(prepared))
    quantize_static(
        str(prepared),
        str(folder / "quantize_static.onnx"),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
    )


def load(path: Path) -> Callable[[Any], Any]:
    """A model file on one thread, as a function from uint8 (1, height, width, 3) to (1, classes)."""
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        image = session.get_inputs()[0]
        dtype = np.uint8 if image.type == "tensor(uint8)" else np.float32
        return lambda pixels: session.run(None, {image.name: pixels.astype(dtype)})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(pixels: Any) -> Any:
        interpreter.set_tensor(taken["index"], pixels.astype(taken["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return run


def measure(folder: Path, rounds: int) -> None:
    """Prints the logits' file and the latencies of every model in a folder, as JSON."""
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    models = {name: load(folder / name) for name in NAMES}
    answers = {
        name: np.concatenate([model(pixels[index : index + 1]) for index in range(len(pixels))])
        for name, model in models.items()
    }
    latencies: dict[str, list[float]] = {name: [] for name in models}
    for index in range(rounds):
        image = np.ascontiguousarray(pixels[index % len(pixels)][np.newaxis])
        for name, model in models.items():
            began = time.perf_counter()
            model(image)
            latencies[name].append(1000 * (time.perf_counter() - began))
    arrays: dict[str, Any] = answers
    np.savez(folder / "answers.npz", **arrays)
    print(json.dumps(latencies))


def main() -> None:
    """Makes the peers' files, measures all, prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.measure:
        measure(told.measure, told.rounds)
        return
    import keras

    run = find_run(told.run)
    manifest, splits = run.manifest(), run.splits()
    samples = splits.validation + splits.test
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for artifact in ("float32.tflite", "float32.onnx", "int8.tflite", "int8.onnx"):
            shutil.copy(run.artifacts / artifact, folder)
        make_peers(run, folder)
        pixels = np.concatenate(list(batches(splits.paths(samples), manifest.input_size, manifest.resize, 32)))
        np.save(folder / "pixels.npy", pixels)
        model = keras.saving.load_model(run.model, compile=False)
        model.jit_compile = False
        expected = model.predict(pixels.astype(np.float32), batch_size=32, verbose=0)
        command = [sys.executable, __file__, "--measure", name, "--rounds", str(told.rounds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        latencies = json.loads(done.stdout.splitlines()[-1])
        answers = np.load(folder / "answers.npz")
        labels = np.array([sample.label for sample in samples])
        print(f"{len(labels)} photos; Keras top-1 {np.mean(expected.argmax(1) == labels):.4f}")
        print("| file | made by | size MB | top-1 | agrees with Keras | SNR dB | p50 ms, 1 thread | of float32 |")
        print("|---|---|---:|---:|---:|---:|---:|---:|")
        for file, made in NAMES.items():
            logits = answers[file]
            p50 = float(np.median(latencies[file]))
            ratio = p50 / float(np.median(latencies[f"float32.{file.split('.')[1]}"]))
            noise = 10 * np.log10(np.square(expected).sum() / np.square(logits - expected).sum())
            print(
                f"| {file} | {made} | {(folder / file).stat().st_size / 1e6:.2f} |"
                f" {np.mean(logits.argmax(1) == labels):.4f} | {np.mean(logits.argmax(1) == expected.argmax(1)):.4f} |"
                f" {noise:.1f} | {p50:.2f} | {ratio:.2f} |"
            )


if __name__ == "__main__":
    main()
