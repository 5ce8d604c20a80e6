"""ONNX, converted by tf2onnx and quantized by ``export.onnx_quantizer``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tledge.core.errors import ConversionError
from tledge.core.temporary_files import temporary_folder
from tledge.export.format import Format, Quantizer
from tledge.export.recipes import Recipe

if TYPE_CHECKING:
    from tledge.export.weight_calibration import CalibratedModel

OPSET = 17

LEVELS = {"any": 64, "x86": 64, "arm": 127}
"""The largest integer of a weight, by the CPU of the device: 7 bits where 8-bit products may saturate."""

BATCH = "batch"
"""The name of the open batch dimension."""


class Onnx(Format):
    """https://onnx.ai"""

    recipes = ("float32", "float16", "dynamic", "int8", "qat")
    modules = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    distributions = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")

    def convert(self, model: Any, recipe: Recipe, calibration: CalibratedModel | None, cpu: str = "any") -> bytes:
        from tledge.export.onnx_weights import store_as_float16, store_as_int8

        if recipe.calibrated:
            if calibration is None:
                raise ConversionError(f"{recipe.name} needs calibration images; received none")
            return self.quantizer(calibration, cpu).quantize(frozenset())
        converted = _to_onnx(model)
        if recipe.name == "float16":
            converted = store_as_float16(converted)
        elif recipe.name == "dynamic":
            # ONNX Runtime's dynamic quantization uses one scale per layer and a slow convolution: MobileNetV2's
            # accuracy fell from 0.97 to 0.59 on photos, and its latency was three times that of float32.
            converted = store_as_int8(converted)
        return bytes(converted.SerializeToString())

    def quantizer(self, calibration: CalibratedModel, cpu: str = "any") -> Quantizer:
        from tledge.export.onnx_quantizer import OnnxQuantizer

        return OnnxQuantizer(calibration, _to_onnx, LEVELS[cpu])


def _to_onnx(model: Any) -> Any:
    """Converts a model to ONNX, from uint8 ``image`` (batch, height, width, 3) to float32 ``logits``."""
    import onnx

    return onnx.ModelProto.FromString(_convert(model))


@functools.lru_cache(maxsize=1)
def _convert(model: Any) -> bytes:
    """Converts a model to serialized ONNX; cached, since three recipes start from it."""
    import tf2onnx

    from tledge.export.concrete_function import freeze

    function = freeze(model, "uint8", batch=None)
    converted, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
    for value in (*converted.graph.input, *converted.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return bytes(_fold_batch_norms(converted).SerializeToString())


def _fold_batch_norms(model: Any) -> Any:
    """Folds the batch norms into the convolutions; tf2onnx leaves those of depthwise convolutions as Mul and Add."""
    import onnx
    import onnxruntime

    with temporary_folder() as folder:
        path = str(folder / "folded.onnx")
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = path
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 3
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(path)
    used = {node.domain for node in folded.graph.node}
    imports = [opset for opset in folded.opset_import if opset.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend(imports)
    return folded


FORMAT = Onnx()
