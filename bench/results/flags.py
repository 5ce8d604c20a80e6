"""Flags: reasons not to trust a number, and the sentence for each."""

from __future__ import annotations

from collections.abc import Mapping

from tledge.attacks import gradient_masking
from tledge.edge_runtime.delegation import SLOWER

NOISY = "noisy"
THROTTLED = "throttled"
THROTTLED_SINCE_BOOT = "throttled_since_boot"
UNDER_VOLTAGE = "under_voltage"
WRONG_CPU = "wrong_cpu"
RANDOM_INPUT = "random_input"
OWN_KERNELS = "without_xnnpack"
MORE_THREADS = "more_threads_than_cores"
ONE_ROUND = "one_round"

EMULATED = "emulated"

UNTIMELY = (NOISY, THROTTLED, UNDER_VOLTAGE, EMULATED, MORE_THREADS, ONE_ROUND)
"""Latencies with these flags are not compared."""

MEANINGS: Mapping[str, str] = {
    NOISY: "other programs or virtual machines used the processor during the measurement, or it was slower than in the"
    " best round",
    THROTTLED: "the processor was slowed down by heat, low voltage or a container's limit during the measurement",
    THROTTLED_SINCE_BOOT: "the board was slowed down by heat or low voltage at some time since boot, not"
    " necessarily during the measurement; it may happen again",
    UNDER_VOLTAGE: "the board's power supply was too weak during the measurement: use the"
    " supply and cable that the manufacturer recommends",
    WRONG_CPU: "the file was exported for another CPU, on which its predictions differ from these",
    RANDOM_INPUT: "timed on random pixels, because there are no photos or no sidecar",
    OWN_KERNELS: SLOWER,
    MORE_THREADS: "the target has more threads than this process may use cores, so its threads wait for one another:"
    " measure with at most one thread per core",
    ONE_ROUND: "measured in a single round, which does not show the variation between processes: differences were not"
    " tested; measure three rounds or more",
    EMULATED: "run under QEMU, which emulates the board's CPU: predictions are the same as on the board, but times"
    " are not, so none are given",
    **gradient_masking.MEANINGS,
}
"""The sentence for each flag."""
