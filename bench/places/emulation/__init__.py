"""A Raspberry Pi's instruction set on this machine: artifacts run on real aarch64 wheels under QEMU's user mode.

It measures accuracy and parity and shows whether an artifact starts; it does not measure latency.

from tledge.bench.places.emulation import emulated_logits

emulated_logits(Path("int8.tflite"), images, "pi5")
"""

from tledge.bench.places.emulation.boards import BOARDS, Board
from tledge.bench.places.emulation.emulated_logits import EmulatedRun, emulated_logits, run_emulated
from tledge.bench.places.emulation.machine import EmulatedMachine, run_python
from tledge.bench.places.emulation.root import prepare_root

__all__ = [
    "BOARDS",
    "Board",
    "EmulatedMachine",
    "EmulatedRun",
    "emulated_logits",
    "prepare_root",
    "run_emulated",
    "run_python",
]
