"""What a board tells of itself: its model, what holds it down, heat, clock, memory, voltage, power.

A board is a machine with a device tree, as ARM boards have it, or with ``vcgencmd``, as a Raspberry Pi has it. An x86
workstation is none: nothing is sampled there.

with BoardSampler() as sampler:
    ...
print(sampler.readings)
"""

from tledge.bench.board.files import read_temperature
from tledge.bench.board.readings import BoardReadings, Spread
from tledge.bench.board.sampler import BoardSampler
from tledge.bench.board.throttling import Throttling, words
from tledge.bench.board.vcgencmd import complaint, read_power, read_throttling

__all__ = [
    "BoardReadings",
    "BoardSampler",
    "Spread",
    "Throttling",
    "complaint",
    "read_power",
    "read_temperature",
    "read_throttling",
    "words",
]
