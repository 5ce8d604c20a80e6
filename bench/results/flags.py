"""What speaks against trusting a number, in words."""

from __future__ import annotations

from collections.abc import Mapping

from tledge.attacks import gradient_masking

NOISY = "noisy"
THROTTLED = "throttled"
THROTTLED_SINCE_BOOT = "throttled_since_boot"
UNDER_VOLTAGE = "under_voltage"
WRONG_CPU = "wrong_cpu"
RANDOM_INPUT = "random_input"

EMULATED = "emulated"

UNTIMELY = (NOISY, THROTTLED, UNDER_VOLTAGE, EMULATED)
"""Flags with which a latency is not compared."""

MEANINGS: Mapping[str, str] = {
    NOISY: "other programs, or other guests of the same host, used the processor while this was timed, twice in a row",
    THROTTLED: "the processor was held down, for heat, low voltage or a container's limit, while this was"
    " timed, twice in a row",
    THROTTLED_SINCE_BOOT: "the board was held down, for heat or low voltage, at some time since it was started, not"
    " necessarily while this was timed: it may be again",
    UNDER_VOLTAGE: "the board's power supply was too weak while this was timed, twice in a row: take the one that the"
    " board's maker recommends, and its cable",
    WRONG_CPU: "the file was exported for another CPU, on which its answers differ from these",
    RANDOM_INPUT: "timed on random pixels, for want of photos or of a sidecar",
    EMULATED: "it ran under QEMU, which translates the board's instructions one by one: the answers are the board's,"
    " and how long they took says nothing of it, so no times are given",
    **gradient_masking.MEANINGS,
}
"""The sentence behind each flag."""
