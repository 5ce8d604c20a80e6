import platform
from pathlib import Path

import pytest

from tledge.core import cpu

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    cpu.saturates.cache_clear()


@pytest.mark.parametrize(
    ("machine", "flags", "saturating"),
    [
        ("x86_64", "flags : fma avx2 sse4_2", True),
        ("x86_64", "flags : avx2 avx512f avx512bw", True),
        ("x86_64", "flags : avx2 avx512f avx512_vnni", False),
        ("x86_64", "", True),
        ("i686", "flags : sse2", True),
        ("AMD64", "flags : avx2 avx_vnni", False),
        ("amd64", "flags : avx2 avx_vnni_int8", True),
        ("aarch64", "Features : fp asimd asimddp", False),
        ("aarch64", "", False),
        ("riscv64", "", False),
    ],
)
def test_8_bit_products_saturate_on_x86_without_vnni(
    machine: str, flags: str, saturating: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    on_x86 = machine.lower() in {"x86_64", "amd64", "i686"}
    assert cpu.saturates() is saturating
    assert bool(cpu.mismatch("arm")) is saturating
    assert not cpu.mismatch("any")
    assert bool(cpu.mismatch("x86")) is not on_x86
    for artifact_cpu in cpu.CPUS:
        assert cpu.mismatch_on(artifact_cpu, machine, flags.split()) == cpu.mismatch(artifact_cpu)
    cpu.saturates.cache_clear()


def test_a_machine_that_does_not_show_its_cpu_may_saturate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "gone")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert cpu.saturates()
    cpu.saturates.cache_clear()
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert not cpu.saturates()
    cpu.saturates.cache_clear()


def test_the_cpu_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "gone")
    assert cpu.saturates()
    (tmp_path / "gone").write_text("avx_vnni")
    assert cpu.saturates()
    cpu.saturates.cache_clear()
    assert not cpu.saturates()
    cpu.saturates.cache_clear()


def test_the_reason_names_the_remedy() -> None:
    assert cpu.CPUS == ("any", "x86", "arm")
    assert Path("/proc/cpuinfo") == cpu.CPUINFO
    on_x86 = cpu.mismatch_on("arm", "x86_64", ["avx2"])
    assert "This x86 CPU has no VNNI, so 8-bit products saturate" in on_x86
    assert on_x86.endswith("`export(cpu='any')`")
    on_arm = cpu.mismatch_on("x86", "aarch64", [])
    assert "exported for x86, and its predictions were not checked on this CPU (aarch64)" in on_arm
    assert on_arm.endswith("`export(cpu='any')` or `export(cpu='arm')`")
