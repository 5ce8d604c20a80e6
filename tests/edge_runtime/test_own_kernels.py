"""A model that XNNPACK cannot prepare runs on LiteRT's own kernels and says so; open input sizes."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from crafted_tflite import FLOAT, OPERATORS, operator, tensor, write, write_refused_by_xnnpack
from foreign_models import write_onnx

from tledge.core.cpu import CpuWarning
from tledge.core.errors import ArtifactError, OptionError
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.delegation import SLOWER, WITHOUT_XNNPACK, find_undelegated
from tledge.edge_runtime.runtime import resolve
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Tensor

pytestmark = pytest.mark.unit


def reference(model: Path, images: Tensor) -> Tensor:
    """What LiteRT's reference kernels compute."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@pytest.mark.parametrize(("output_scale", "refused"), [(1 / 255.5, False), (1 / 256.5, True), (1e-3, True)])
def test_a_model_that_xnnpack_refuses_runs_and_says_so(tmp_path: Path, output_scale: float, refused: bool) -> None:
    model = write_refused_by_xnnpack(tmp_path / "m.tflite", output_scale=output_scale)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        loaded = BareModel(model, "litert:cpu:1")
    assert [str(item.message) for item in found if item.category is CpuWarning] == [f"'{model}': {SLOWER}"] * refused
    assert loaded.provider == (WITHOUT_XNNPACK if refused else "XNNPACK")
    images = loaded.random_input(seed=4)
    np.testing.assert_array_equal(loaded.run(images), reference(model, images))
    loaded.close()


def test_the_operators_of_a_refused_model_all_run_in_litert(tmp_path: Path) -> None:
    found = find_undelegated(write_refused_by_xnnpack(tmp_path / "m.tflite"))
    assert (found.nodes, found.partitions, found.undelegated) == (2, 0, ("RESHAPE", "FULLY_CONNECTED"))
    assert found.provider == "LiteRT kernels"
    taken = find_undelegated(write_refused_by_xnnpack(tmp_path / "m.tflite", output_scale=1.0))
    assert (taken.nodes, taken.undelegated, taken.provider) == (2, (), "XNNPACK")


def test_batches_of_a_refused_model(tmp_path: Path) -> None:
    model = write_refused_by_xnnpack(tmp_path / "m.tflite")
    runtime, target = resolve(Target.parse("litert:cpu:1"))
    with pytest.raises(ArtifactError, match="LiteRT cannot"):
        runtime.load(model, target, batch=4)  # its reshape has a batch of 1
    with pytest.warns(CpuWarning):
        session = runtime.load(model, target)
    images = np.random.default_rng(0).integers(-128, 128, (3, 8, 8, 3)).astype(np.int8)
    np.testing.assert_array_equal(
        session.run(images), np.concatenate([reference(model, images[n : n + 1]) for n in range(3)])
    )


def test_a_model_that_nothing_can_prepare_is_an_error_without_a_warning(tmp_path: Path) -> None:
    tensors = [tensor((1, 4, 4, 3)), tensor((1, 4, 4, 2), FLOAT), tensor((1, 4, 4, 3))]
    constants = {1: np.zeros(32, np.float32)}
    model = write(
        tmp_path / "m.tflite", tensors, [operator(OPERATORS.ADD, [0, 1], [2])], outputs=[2], constants=constants
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ArtifactError, match="not broadcastable"):
            BareModel(model)


def test_an_open_input_size_is_that_which_is_asked_for(tmp_path: Path) -> None:
    model = write_onnx(tmp_path / "open.onnx", size="size", batch="N")
    assert BareModel(model).random_input(0).shape == (1, 3, 224, 224)
    assert BareModel(model, input_size=(40, 56)).random_input(0, batch=2).shape == (2, 3, 40, 56)
    assert BareModel(model, input_size=(40, 56)).random_input(0, lengths=(3, 8, 8)).shape == (1, 3, 8, 8)
    image, same = tensor((1, -1, -1, 3)), tensor((1, -1, -1, 3))
    tflite = write(tmp_path / "open.tflite", [image, same], [operator(OPERATORS.RELU, [0], [1])], outputs=[1])
    loaded = BareModel(tflite, input_size=(40, 56))
    images = loaded.random_input(0)
    assert images.shape == (1, 40, 56, 3)
    np.testing.assert_array_equal(loaded.run(images), images)
    assert loaded.provider == "XNNPACK"


@pytest.mark.parametrize(("size", "fits"), [((24, 24), True), ((24, 25), False), ((3, 24), False)])
def test_a_fixed_input_size_may_be_repeated_and_not_contradicted(
    tmp_path: Path, size: tuple[int, int], fits: bool
) -> None:
    model = write_onnx(tmp_path / "fixed.onnx")
    if fits:
        assert BareModel(model, input_size=size).random_input(0).shape == (1, 3, 24, 24)
        return
    with pytest.raises(
        OptionError, match=rf"`input_size='{size[0]}x{size[1]}'` contradicts '.*fixed.onnx', whose input"
    ):
        BareModel(model, input_size=size)


@pytest.mark.parametrize("filled", [False, True])
def test_a_model_that_xnnpack_cannot_run_after_all_runs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled: bool
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    prepare, invoke, broken = Interpreter.__init__, Interpreter.invoke, []
    own = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES

    def initialize(self: Interpreter, *args: object, **options: object) -> None:
        prepare(self, *args, **options)
        if options["experimental_op_resolver_type"] is not own:
            broken.append(self)

    def run(self: Interpreter) -> None:
        if self in broken:
            raise RuntimeError(f"failed to invoke XNNPACK runtime {broken.index(self)}")
        invoke(self)

    monkeypatch.setattr(Interpreter, "__init__", initialize)
    monkeypatch.setattr(Interpreter, "invoke", run)
    model = write_refused_by_xnnpack(tmp_path / "m.tflite", output_scale=1 / 255.5)
    runtime, target = resolve(Target.parse("litert:cpu:1"))
    session = runtime.load(model, target)
    images = BareModel(model, "litert:cpu:1").random_input(seed=4)

    def fill(out: Tensor | None) -> Tensor:
        if out is None:
            return images
        out[...] = images
        return out

    assert session.provider == "XNNPACK"
    with pytest.warns(CpuWarning, match="XNNPACK"):
        outputs = session.run_filled(1, fill) if filled else session.run(images)
    assert session.provider == WITHOUT_XNNPACK
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = session.run(images)
    monkeypatch.setattr(Interpreter, "invoke", invoke)
    monkeypatch.setattr(Interpreter, "__init__", prepare)
    np.testing.assert_array_equal(outputs, reference(model, images))
    np.testing.assert_array_equal(again, outputs)


def test_where_both_kernels_fail_the_first_cause_is_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ai_edge_litert.interpreter import Interpreter

    causes = iter(["the first cause", "the second", "the third", "the fourth"])

    def run(_: Interpreter) -> None:
        raise RuntimeError(next(causes))

    model = write_refused_by_xnnpack(tmp_path / "m.tflite", output_scale=1 / 255.5)
    loaded = BareModel(model, "litert:cpu:1")
    monkeypatch.setattr(Interpreter, "invoke", run)
    with pytest.raises(ArtifactError, match="LiteRT cannot run .*: the first cause"):
        loaded.run(loaded.random_input(seed=4))
    assert loaded.provider == "XNNPACK"
    with pytest.raises(ArtifactError, match="the third"):
        loaded.run(loaded.random_input(seed=4))
