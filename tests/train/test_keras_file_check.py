"""Which Keras files can execute code, judged by their configuration alone."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tledge.core.errors import ModelError
from tledge.train.keras_file_check import (
    EXECUTES_CODE,
    READS_FILES,
    SAFE_CLASSES,
    SAFE_MODULES,
    TENSORFLOW_FUNCTIONS,
    UNSUPPORTED,
    check_config,
    check_keras_file,
)

pytestmark = pytest.mark.unit

DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": None}


def model_of(*parts: Any) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": [DENSE, *parts]}}


def check(*parts: Any) -> None:
    check_config(Path("m.keras"), model_of(*parts))


@pytest.mark.parametrize(
    "part",
    [
        DENSE,
        {"module": "keras.src.layers.core.dense", "class_name": "Dense", "registered_name": "Dense"},
        {"class_name": "Conv2D", "config": {}},  # files of Keras 2 name no modules
        {"module": "keras", "class_name": "Functional"},
        {"module": "keras", "class_name": "DTypePolicy"},
        {"module": "builtins", "class_name": "slice"},
        *({"module": f"keras.{name}", "class_name": "Any"} for name in SAFE_MODULES),
        *({"module": f"keras.src.{name}.deeper", "class_name": "Any"} for name in SAFE_MODULES),
        {"module": "tf_keras.src.engine.functional", "class_name": "Functional", "registered_name": "Functional"},
        {"module": "keras.src.engine.sequential", "class_name": "Sequential"},
        {"module": "keras.mixed_precision", "class_name": "Policy", "config": {"name": "mixed_float16"}},
        {"module": "tf_keras.src.layers.core.tf_op_layer", "class_name": "TFOpLambda", "config": {"function": "cast"}},
        *({"class_name": "TFOpLambda", "config": {"function": name}} for name in TENSORFLOW_FUNCTIONS),
        {"module": "tensorflow.python.ops.init_ops_v2", "class_name": "Constant", "registered_name": "Constant"},
        {"class_name": "Custom>CustomScaleLayer", "config": {"scale": 0.2}},  # of InceptionResNetV2, in an .h5 file
        {"class_name": 3},
        "Lambda",
        None,
    ],
)
def test_what_only_computes_is_accepted(part: Any) -> None:
    check(part)
    check_config(Path("m.keras"), {"nested": [{"deeper": part}]})


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"module": "keras.layers", "class_name": "Lambda"}, "Lambda"),
        ({"class_name": "Lambda"}, "Lambda"),
        ({"class_name": "__lambda__"}, "__lambda__"),
        ({"class_name": "mine>Lambda"}, "mine>Lambda"),
        ({"module": "keras.layers", "class_name": "StringLookup"}, "StringLookup"),
        ({"module": "keras", "class_name": "layers.Lambda"}, "layers.Lambda"),
        ({"module": "keras.layers", "class_name": "layers.Dense"}, "layers.Dense"),
        ({"module": "builtins", "class_name": "function", "config": "cubed"}, "cubed"),
        ({"module": "keras.layers", "class_name": "function", "config": "get_file"}, "get_file"),
        ({"module": "keras.layers", "class_name": "Lambda", "registered_name": "mine>Lambda"}, "mine>Lambda"),
        ({"class_name": "TFOpLambda", "config": {"function": "io.read_file"}}, "TFOpLambda"),
        ({"class_name": "SlicingOpLambda", "config": {"function": "raw_ops.WriteFile"}}, "SlicingOpLambda"),
        ({"module": "keras.src.engine.functional", "class_name": "get_file"}, "get_file"),
        ({"module": "tensorflow.io", "class_name": "read_file"}, "read_file"),
        ({"module": "tensorflow.python.ops.init_ops_v2", "class_name": "ops"}, "ops"),
        ({"module": "os.path", "class_name": "join"}, "join"),
        ({"module": "keras.utils", "class_name": "get_file"}, "get_file"),
        ({"module": "keras", "class_name": "Model"}, "Model"),
        ({"module": "keras.src", "class_name": "Sequential"}, "Sequential"),
        ({"module": "builtins", "class_name": "eval"}, "eval"),
        ({"module": "keras.mine.layers", "class_name": "Dense"}, "Dense"),
    ],
)
def test_what_could_execute_code_is_rejected_wherever_it_is(part: dict[str, Any], named: str) -> None:
    message = rf"'m.keras' contains '{named}', which can execute arbitrary code: .* not loaded. .* `trust_model=True`"
    with pytest.raises(ModelError, match=message):
        check(part)
    with pytest.raises(ModelError, match=message):
        check({**DENSE, "config": {"activation": [[part]]}})


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"class_name": "Twice", "registered_name": "mine>Twice"}, "mine>Twice"),
        ({"module": "keras.layers", "class_name": "Twice", "registered_name": "mine>Twice"}, "mine>Twice"),
        ({"class_name": "mine>Twice"}, "mine>Twice"),
        ({"module": "keras.layers", "class_name": "Custom>CustomScaleLayer"}, "Custom>CustomScaleLayer"),
        ({"module": "mine.layers", "class_name": "Dense"}, "Dense"),
        ({"module": "mine.keras.layers", "class_name": "Dense"}, "Dense"),
    ],
)
def test_a_class_of_others_is_not_loaded_and_not_called_an_attack(part: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=f"contains '{named}', which is not part of Keras.* not loaded") as error:
        check({**DENSE, "config": {"activation": [[part]]}})
    assert "execute" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"class_name": "TFOpLambda", "config": {"function": "image.per_image_standardization"}}, "image.per_image"),
        ({"class_name": "TensorFlowOpLayer", "config": {}}, "TensorFlowOpLayer"),
        *(({"class_name": name}, name) for name in UNSUPPORTED),
    ],
)
def test_an_unsupported_call_of_tensorflow_is_not_called_an_attack(part: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=f"calls TensorFlow's '{named}.* not loaded. Replace it") as error:
        check(part)
    assert "execute" not in str(error.value)


def test_the_lists_of_classes_and_modules() -> None:
    """A change of these lists is a decision about safety."""
    assert set(EXECUTES_CODE) == {"Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "__lambda__"}
    assert set(READS_FILES) == {"StringLookup", "IntegerLookup", "TextVectorization"}
    assert set(SAFE_MODULES) == {
        *("layers", "models", "initializers", "regularizers", "constraints", "dtype_policies", "ops")
    }
    assert set(SAFE_CLASSES) == {
        *(("keras", name) for name in ("DTypePolicy", "Functional", "Sequential")),
        ("builtins", "slice"),
        ("keras.engine.functional", "Functional"),
        ("keras.engine.sequential", "Sequential"),
        ("keras.mixed_precision", "Policy"),
        ("keras.applications.convnext", "LayerScale"),
        ("keras.applications.convnext", "StochasticDepth"),
        ("keras.applications.inception_resnet_v2", "CustomScaleLayer"),
        *(("tensorflow.python.ops.init_ops_v2", name) for name in ("Constant", "Identity", "Ones", "Orthogonal")),
        *(("tensorflow.python.ops.init_ops_v2", name) for name in ("GlorotNormal", "GlorotUniform", "Zeros")),
        *(("tensorflow.python.ops.init_ops_v2", name) for name in ("RandomNormal", "RandomUniform")),
        *(("tensorflow.python.ops.init_ops_v2", name) for name in ("TruncatedNormal", "VarianceScaling")),
    }
    assert set(UNSUPPORTED) == {"ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer"}
    for name in (*EXECUTES_CODE, *READS_FILES):
        with pytest.raises(ModelError, match=name):
            check({"module": "keras.layers", "class_name": name})


def test_a_loss_and_an_optimizer_of_ones_own_are_not_loaded_and_not_checked() -> None:
    lambda_layer = {"module": "keras.layers", "class_name": "Lambda"}
    check_config(Path("m.keras"), {**model_of(), "compile_config": {"loss": lambda_layer}})
    with pytest.raises(ModelError, match="Lambda"):
        check_config(Path("m.keras"), {**model_of(), "build_config": {"loss": lambda_layer}})


def test_files_are_checked_unless_they_are_trusted(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model_of({"class_name": "Lambda"})))
    with pytest.raises(ModelError, match="Lambda"):
        check_keras_file(path, trust=False)
    check_keras_file(path, trust=True)
    for suffix in (".h5", ".HDF5"):  # which is read as HDF5
        with pytest.raises(ModelError, match="only loads by the suffix .keras; rename it"):
            check_keras_file(path.rename(tmp_path / f"m{suffix}"), trust=True)
        (tmp_path / f"m{suffix}").rename(path)
        (tmp_path / f"text{suffix}").write_text("text")
        with pytest.raises(ModelError, match=r"is not a complete Keras model \(.+\); pass a .keras or .h5 file from"):
            check_keras_file(tmp_path / f"text{suffix}", trust=True)
    with pytest.raises(ModelError, match=r"no such file: '.*gone.keras'; pass a .keras or .h5 file saved by Keras"):
        check_keras_file(tmp_path / "gone.keras", trust=True)
    path.write_text("")
    with pytest.raises(ModelError, match=r"is not a complete Keras model \(File is not a zip file\)"):
        check_keras_file(path, trust=False)
