"""A Raspberry Pi's instruction set on this machine: artifacts run on real aarch64 wheels under QEMU's user mode.

Good for accuracy, parity and "does it start"; never for latency.

from tledge.bench.emulation import emulated_logits

emulated_logits(Path("int8.tflite"), images, "pi5")
"""

from tledge.bench.emulation.boards import BOARDS, Board
from tledge.bench.emulation.machine import EmulatedMachine, run_python
from tledge.bench.emulation.root import prepare
from tledge.bench.emulation.running import EmulatedAnswers, emulated_logits, run_emulated

__all__ = [
    "BOARDS",
    "Board",
    "EmulatedAnswers",
    "EmulatedMachine",
    "emulated_logits",
    "prepare",
    "run_emulated",
    "run_python",
]
