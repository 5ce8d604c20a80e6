import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tledge.core.cores import cpu_quota, usable_cores

# In the form that Docker and systemd leave them in; what UNLIMITED_V1 mounts was read from a virtual machine.
V2_MOUNT = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
DOCKER_V2 = {
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "671 666 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
}
DOCKER_V1_ID = "/docker/7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605"
DOCKER_V1 = {
    "proc/self/cgroup": (
        f"12:pids:{DOCKER_V1_ID}\n11:cpuset:{DOCKER_V1_ID}\n4:cpu,cpuacct:{DOCKER_V1_ID}\n"
        f"1:name=systemd:{DOCKER_V1_ID}\n0::/system.slice/containerd.service\n"
    ),
    "proc/self/mountinfo": (
        "1233 1232 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755\n"
        f"1235 1233 0:33 {DOCKER_V1_ID} /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:18 - cgroup"
        " cgroup rw,cpu,cpuacct\n"
        f"1236 1233 0:34 {DOCKER_V1_ID} /sys/fs/cgroup/cpuset ro,relatime master:19 - cgroup cgroup rw,cpuset\n"
    ),
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
}
SLICES = {
    "proc/self/cgroup": "0::/system.slice/camera.slice/tledge.service\n",
    "proc/self/mountinfo": "24 29 0:22 / /proc rw,relatime shared:13 - proc proc rw\n" + V2_MOUNT,
    "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
    "sys/fs/cgroup/system.slice/camera.slice/cpu.max": "220000 100000\n",
    "sys/fs/cgroup/system.slice/camera.slice/tledge.service/cpu.max": "300000 100000\n",
}
UNLIMITED_V1 = {
    "proc/self/cgroup": "9:name=systemd:/\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/\n",
    "proc/self/mountinfo": (
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
        "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    ),
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
}
OUTSIDE_THE_NAMESPACE = {
    **SLICES,
    "proc/self/cgroup": "0::/../../elsewhere\n",
    "sys/fs/cgroup/cpu.max": "80000 100000\n",
}


@pytest.mark.unit
@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param(DOCKER_V2, 1.5, id="docker v2"),
        pytest.param(DOCKER_V1, 0.5, id="docker v1"),
        pytest.param(SLICES, 2.2, id="a slice above limits more than the service itself"),
        pytest.param(UNLIMITED_V1, math.inf, id="no quota, version 1 beside 2"),
        pytest.param(OUTSIDE_THE_NAMESPACE, 0.8, id="outside of the namespace"),
        pytest.param({**SLICES, "sys/fs/cgroup/system.slice/cpu.max": "1000 broken"}, 2.2, id="a broken file"),
        pytest.param({}, math.inf, id="no such files"),
    ],
)
def test_the_least_quota_of_a_group_and_those_above_it_counts(
    tmp_path: Path, files: dict[str, str], quota: float
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpu_quota(tmp_path) == pytest.approx(quota)


@pytest.mark.unit
@pytest.mark.parametrize(("quota", "cores"), [(0.2, 1), (1.0, 1), (1.5, 2), (3.0, 3), (64.0, 4), (math.inf, 4)])
def test_a_quota_is_rounded_up_and_never_adds_cores(monkeypatch: pytest.MonkeyPatch, quota: float, cores: int) -> None:
    monkeypatch.setattr("tledge.core.cores.cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 4, raising=False)
    assert usable_cores() == cores


def test_usable_cores_follow_the_affinity() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity on this system")
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}])\nfrom tledge.core.cores import usable_cores as u; print(u())"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"1\n"
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Python reads PYTHON_CPU_COUNT from 3.13 on")
def test_the_count_that_a_user_has_set_is_taken() -> None:
    code = "from tledge.core.cores import usable_cores as u; print(u())"
    environment = {**os.environ, "PYTHON_CPU_COUNT": "1"}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment) == b"1\n"
