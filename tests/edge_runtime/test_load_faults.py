import importlib.metadata
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from crafted_tflite import FLOAT, OPERATORS, operator, tensor, write, write_custom
from external_model import write_external
from foreign_models import write_onnx

from tledge.core.errors import ArtifactError, SidecarMissingError
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.classifier import Classifier
from tledge.edge_runtime.load_faults import load_error

pytestmark = pytest.mark.unit
LITERT, ONNXRUNTIME = (importlib.metadata.version(name) for name in ("ai-edge-litert", "onnxruntime"))


def refused(model: Path, message: str) -> None:
    """Loading fails with exactly this message, after the model's name."""
    library = "LiteRT" if model.suffix == ".tflite" else "ONNX Runtime"
    with pytest.raises(ArtifactError, match=f"^{library} cannot load '{re.escape(str(model))}': {message}$"):
        BareModel(model)


def test_a_model_for_the_edge_tpu(tmp_path: Path) -> None:
    refused(
        write_custom(tmp_path / "m_edgetpu.tflite", "edgetpu-custom-op"),
        "it was compiled for the Edge TPU and runs only there; use the file that it was compiled from, without"
        " '_edgetpu' in its name",
    )


def test_operators_of_tensorflow_are_named(tmp_path: Path) -> None:
    tensors = [tensor((1, 8, 8, 3)), tensor((1, 8, 8, 3)), tensor((1, 4))]
    steps = [operator(OPERATORS.CUSTOM, [n], [n + 1], custom=name) for n, name in enumerate(("FlexRoll", "FlexErf"))]
    model = write(tmp_path / "m.tflite", tensors, steps, outputs=[2])
    refused(
        model,
        r"it uses operators of TensorFlow itself \(FlexErf, FlexRoll\), which LiteRT does not have; convert it again"
        r" with `supported_ops = \[tf.lite.OpsSet.TFLITE_BUILTINS\]` alone",
    )


def test_custom_operators_are_named(tmp_path: Path) -> None:
    refused(
        write_custom(tmp_path / "m.tflite", "HardTanh9"),
        r"it uses custom operators \(HardTanh9\), which are not part of LiteRT; convert it again without them, .*",
    )
    model = write_onnx(tmp_path / "m.onnx")
    loaded: Any = onnx.load(model)
    loaded.graph.node[1].op_type, loaded.graph.node[1].domain = "Swish2", "com.acme"
    loaded.opset_import.append(onnx.helper.make_opsetid("com.acme", 1))
    onnx.save(loaded, model)
    refused(model, "it uses the custom operator com.acme:Swish2, which is not part of ONNX Runtime; export it again .*")


@pytest.mark.parametrize(
    ("code", "version", "cause"),
    [
        (OPERATORS.RELU, 99, "it needs version 99 of the operator RELU"),
        (251, 1, "it uses the operator number 251"),
    ],
)
def test_operators_newer_than_the_installed_litert(tmp_path: Path, code: int, version: int, cause: str) -> None:
    tensors = [tensor((1, 8, 8, 3)), tensor((1, 8, 8, 3))]
    model = write(tmp_path / "m.tflite", tensors, [operator(code, [0], [1], version=version)], outputs=[1])
    refused(
        model,
        f"{cause}, which the installed ai-edge-litert {LITERT} does not have; pip install -U ai-edge-litert, or convert"
        " it with an older TensorFlow",
    )


def test_an_opset_or_format_newer_than_the_installed_onnxruntime(tmp_path: Path) -> None:
    model = write_onnx(tmp_path / "m.onnx")
    loaded: Any = onnx.load(model)
    loaded.opset_import[0].version = 99
    onnx.save(loaded, model)
    newest = r"(\d+)"
    refused(
        model,
        rf"it needs opset 99 of ai.onnx, and the installed onnxruntime {ONNXRUNTIME} supports up to {newest}; pip"
        r" install -U onnxruntime, or export it again with `opset_version=\1` or lower",
    )
    loaded.opset_import[0].version, loaded.ir_version = 17, 77
    onnx.save(loaded, model)
    refused(
        model,
        rf"it has version 77 of the ONNX format \(IR\), and the installed onnxruntime {ONNXRUNTIME} reads up to"
        rf" {newest}; pip install -U onnxruntime, or save it with `model.ir_version = \1`",
    )


def test_an_operator_that_the_opset_does_not_have(tmp_path: Path) -> None:
    model = write_onnx(tmp_path / "m.onnx")
    loaded: Any = onnx.load(model)
    loaded.graph.node[1].op_type = "Gelu"  # of opset 20
    onnx.save(loaded, model)
    refused(
        model, "it uses the operator Gelu, which opset 17 does not have; export it again, with the opset that it .*"
    )


def test_a_truncated_tflite_file(tmp_path: Path) -> None:
    content = write_custom(tmp_path / "whole.tflite", "A").read_bytes()
    (tmp_path / "m.tflite").write_bytes(content[: len(content) // 2])
    refused(
        tmp_path / "m.tflite",
        r"it is damaged or truncated; copy or convert it again \(a table lies outside the file\)",
    )


def test_missing_weights_come_before_the_runtimes_message(tmp_path: Path) -> None:
    model = write_external(tmp_path / "m.onnx", "m.onnx.data")
    (tmp_path / "m.onnx.data").unlink()
    with pytest.raises(ArtifactError, match=f"'{model}' has its weights in another file, which is missing: expected"):
        BareModel(model)


def test_weights_behind_a_link_to_another_folder(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "models").mkdir()
    model = write_external(tmp_path / "models/m.onnx", "m.onnx.data")
    (tmp_path / "models/m.onnx.data").rename(tmp_path / "blobs/1234")
    (tmp_path / "models/m.onnx.data").symlink_to("../blobs/1234")
    with pytest.raises(
        ArtifactError,
        match=f"^'m.onnx.data', which holds weights of '{model}', is a link to another folder: that is rejected,"
        " because a model could read any file so; copy both files into one folder$",
    ):
        BareModel(model)
    model.rename(tmp_path / "blobs/5678")  # as in Hugging Face's cache
    model.symlink_to("../blobs/5678")
    BareModel(model).close()


def test_an_unknown_cause_is_the_librarys_message_in_full_and_no_guess(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    error = load_error("ONNX Runtime", tmp_path / "m.onnx", RuntimeError(f"first line,\n  second line: {'x' * 900}"))
    assert str(error) == f"ONNX Runtime cannot load '{tmp_path}/m.onnx': first line, second line: {'x' * 900}"
    tensors = [tensor((1, 4, 4, 3)), tensor((1, 4, 4, 2), FLOAT), tensor((1, 4, 4, 3))]
    model = write(
        tmp_path / "m.tflite",
        tensors,
        [operator(OPERATORS.ADD, [0, 1], [2])],
        outputs=[2],
        constants={1: np.zeros(32, np.float32)},
    )
    refused(
        model, r"Given shapes, \[1,4,4,3\] and \[1,4,4,2\], are not broadcastable.Node number 0 \(ADD\) failed to .*"
    )


def test_a_file_without_a_sidecar_says_why_it_cannot_be_adopted(tmp_path: Path) -> None:
    for model, cause in (
        (write_custom(tmp_path / "m_edgetpu.tflite", "edgetpu-custom-op"), "LiteRT cannot load .*for the Edge TPU"),
        (write_onnx(tmp_path / "two.onnx", inputs=2), "'.*' is not an image classifier: expected one input, found 2"),
    ):
        with pytest.raises(ArtifactError, match=f"^'{model}' has no sidecar and cannot be adopted: {cause}"):
            Classifier(model)
    with pytest.raises(SidecarMissingError, match="good.onnx' has no sidecar, .*: describe a model made elsewhere"):
        Classifier(write_onnx(tmp_path / "good.onnx"))
