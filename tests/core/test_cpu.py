import platform
from pathlib import Path

import pytest

from tledge.core import cpu

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("machine", "flags", "saturating"),
    [
        ("x86_64", "flags : fma avx2 sse4_2", True),
        ("x86_64", "flags : avx2 avx512f avx512bw", True),
        ("x86_64", "flags : avx2 avx512f avx512_vnni", False),
        ("AMD64", "flags : avx2 avx_vnni", False),
        ("aarch64", "Features : fp asimd asimddp", False),
    ],
)
def test_8_bit_products_saturate_on_x86_without_vnni(
    machine: str, flags: str, saturating: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    cpu.saturates.cache_clear()
    assert cpu.saturates() is saturating
    assert bool(cpu.mismatch("arm")) is saturating
    assert not cpu.mismatch("any")
    assert bool(cpu.mismatch("x86")) is (machine == "aarch64")
    assert cpu.mismatch_on("arm", machine, flags.split()) == cpu.mismatch("arm")
    cpu.saturates.cache_clear()
