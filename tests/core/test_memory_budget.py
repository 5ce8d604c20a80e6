"""Memory that threads share: never exceeded, served in order, and given back whatever happens."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tledge.core.memory_budget import SHARE, MemoryBudget, budget_for, usable_memory

pytestmark = pytest.mark.unit

LIMIT_S = 10.0


@pytest.mark.parametrize(("memory", "total"), [(512 << 20, 256_000_000), (16 << 30, (16 << 30) // SHARE)])
def test_a_machine_with_much_memory_uses_more(memory: int, total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": memory // 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert budget_for(256_000_000).total == total


def test_a_machine_that_does_not_tell_its_memory_uses_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert budget_for(1000).total == 1000


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"sys/fs/cgroup/unit.service/memory.max": "max"}, 1 << 30),
        ({"sys/fs/cgroup/unit.service/memory.max": "536870912"}, 512 << 20),
        ({"sys/fs/cgroup/memory.max": "268435456", "sys/fs/cgroup/unit.service/memory.max": "536870912"}, 256 << 20),
        ({"sys/fs/cgroup/unit.service/memory.max": "8589934592"}, 1 << 30),
        ({}, 1 << 30),
    ],
    ids=["no limit", "service", "group above", "more than the machine", "no groups"],
)
def test_the_memory_of_a_container_or_a_service_counts(
    files: dict[str, str], limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": (1 << 30) // 4096}.__getitem__)
    if files:
        files = {
            **files,
            "proc/self/cgroup": "0::/unit.service\n",
            "proc/self/mountinfo": "35 24 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
        }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_memory(tmp_path) == limit


def test_threads_together_never_hold_more_than_the_total() -> None:
    budget = MemoryBudget(100)
    held, most, lock = [0], [0], threading.Lock()

    def use(first: int, then: int) -> None:
        for _ in range(50):
            with budget.claim() as claim:
                claim.hold(first, last=False)
                claim.hold(then, last=True)
                with lock:
                    held[0] += then
                    most[0] = max(most[0], held[0])
                with lock:
                    held[0] -= then

    threads = [threading.Thread(target=use, args=pair, daemon=True) for pair in [(10, 60), (30, 100), (5, 40), (1, 50)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert not any(thread.is_alive() for thread in threads)
    assert 0 < most[0] <= 100


def test_a_claim_waits_until_there_is_room() -> None:
    budget, served = MemoryBudget(100), threading.Event()

    def use() -> None:
        with budget.claim() as claim:
            claim.hold(50, last=True)
            served.set()

    with budget.claim() as claim:
        claim.hold(51, last=True)
        thread = threading.Thread(target=use, daemon=True)
        thread.start()
        assert not served.wait(0.1)
    assert served.wait(LIMIT_S)
    thread.join(LIMIT_S)


def test_an_error_gives_the_memory_and_the_turn_back() -> None:
    budget = MemoryBudget(100)
    with pytest.raises(OSError, match="lost"), budget.claim() as claim:
        claim.hold(100, last=False)
        raise OSError("lost")
    with budget.claim() as claim:
        claim.hold(100, last=True)
