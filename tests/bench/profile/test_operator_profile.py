"""The runtimes' own profilers, on real models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tledge.bench.profile.litert_profiler import read_summary
from tledge.bench.profile.operator_profile import Profile, profile_operators
from tledge.core.errors import ArtifactError, MeasurementError, OptionError


def check(found: Profile, artifact: str, target: str) -> None:
    assert (found.artifact, found.target, found.runs) == (artifact, target, 5)
    times = [operator.milliseconds for operator in found.operators]
    assert times == sorted(times, reverse=True)
    assert 0 < sum(times) <= found.milliseconds + 0.001 * len(times)  # LiteRT rounds to microseconds
    assert sum(operator.share for operator in found.operators) == pytest.approx(1)
    assert {operator.calls for operator in found.operators} == {1}
    assert Profile.from_json(found.to_json(), "profile.json") == found


def test_onnxruntime_times_every_node(tiny_artifacts: Path) -> None:
    found = profile_operators(tiny_artifacts / "float32.onnx", "onnxruntime:cpu:1", runs=5)
    check(found, "float32.onnx", "onnxruntime:cpu:1")
    kinds = [operator.kind for operator in found.operators]
    assert sum("Conv" in kind for kind in kinds) == 3
    assert len({operator.name for operator in found.operators}) == len(kinds)


def test_litert_times_what_xnnpack_has_taken_by_the_names_in_the_file(large_tflite: Path) -> None:
    found = profile_operators(large_tflite, "litert:cpu:1", runs=5)
    check(found, "float32.tflite", "litert:cpu:1")
    depthwise = [operator for operator in found.operators if "DWConv" in operator.kind]
    assert len(depthwise) == 1
    assert "re_lu_1" in depthwise[0].name  # fused with it
    layers = [operator.kind.split()[0] for operator in found.operators if not operator.name.startswith("#")]
    assert sorted(layers) == ["Convolution", "Convolution", "Fully", "Fully"]  # a 1 x 1 convolution is a matrix product


def test_a_file_without_sidecar_is_profiled_too(tiny_artifacts: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(tiny_artifacts / "float32.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    check(profile_operators(tmp_path / "bare.onnx", "onnxruntime:cpu:1", runs=5), "bare.onnx", "onnxruntime:cpu:1")


@pytest.mark.parametrize(
    ("name", "target", "runs", "kind", "says"),
    [
        ("float32.keras", "keras:cpu", 5, OptionError, "Keras has no profiler"),
        ("float32.onnx", "onnxruntime:cpu:1", 0, OptionError, "received 0"),
        ("float32.onnx", "litert:cpu:1", 5, OptionError, "it runs .tflite"),
        ("absent.onnx", "onnxruntime:cpu:1", 5, ArtifactError, "no model file"),
        ("float32.onnx", "onnxruntime:npu", 5, OptionError, "no device 'npu'"),
    ],
)
def test_what_cannot_be_profiled_is_an_error(
    tiny_artifacts: Path, name: str, target: str, runs: int, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        profile_operators(tiny_artifacts / name, target, runs=runs)


def line(kind: str, mean: float, calls: int, name: str) -> str:
    return f"   {kind}  0.000  0.120  {mean:.3f}  10.790%  11.000%  0.000  {calls}  {name}\n"


SUMMARY = (
    "===== Run Order =====\n  [node type]  [start]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  [Name]\n"
    + line("Delegate/Convert (NC)", 0.010, 20, "[Delegate]:0")
    + line("Delegate/Convolution (NHWC, QC8) DWConv", 0.200, 20, "[Delegate]:1")
    + line("Delegate/Fully Connected (NC, QS8, QC8W) GEMM", 0.100, 40, "[Delegate]:2")
    + "\n===== Top by Computation Time =====\n"
)


@pytest.mark.unit
def test_operators_are_named_where_xnnpack_kept_their_order() -> None:
    found = read_summary(SUMMARY, 20, [("DEPTHWISE_CONV_2D", "depthwise"), ("CONV_2D", "pointwise")])
    assert [(operator.name, operator.milliseconds, operator.calls) for operator in found] == [
        ("#0", 0.01, 1),
        ("depthwise", 0.2, 1),
        ("pointwise", pytest.approx(0.2), 2),
    ]
    assert [operator.kind for operator in found][1:] == [
        "Convolution (NHWC, QC8) DWConv",
        "Fully Connected (NC, QS8, QC8W) GEMM",
    ]


@pytest.mark.unit
@pytest.mark.parametrize(
    "weighted",
    [
        [("CONV_2D", "pointwise"), ("DEPTHWISE_CONV_2D", "depthwise")],
        [("DEPTHWISE_CONV_2D", "depthwise")],
    ],
)
def test_no_name_is_better_than_a_wrong_one(weighted: list[tuple[str, str]]) -> None:
    assert [operator.name for operator in read_summary(SUMMARY, 20, weighted)] == ["#0", "#1", "#2"]


@pytest.mark.unit
@pytest.mark.parametrize("summary", ["", SUMMARY.replace("Run Order", "Order"), SUMMARY.replace("0.200", "fast")])
def test_another_summary_is_an_error(summary: str) -> None:
    with pytest.raises(MeasurementError, match=r"ai-edge-litert 2\.3"):
        read_summary(summary, 20, [])
