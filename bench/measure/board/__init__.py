"""What a board tells of itself: its model, what holds it down, heat, clock, memory, voltage, power.

A board is a machine with a device tree, as ARM boards have it, or with ``vcgencmd``, as a Raspberry Pi has it. An x86
workstation is none: nothing is sampled there.

with BoardSampler() as sampler:
    ...
print(sampler.readings)
"""

from tledge.bench.measure.board.files import read_temperature
from tledge.bench.measure.board.sampler import BoardSampler
from tledge.bench.measure.board.vcgencmd import read_power, read_throttling, vcgencmd_complaint
from tledge.bench.results.board_readings import BoardReadings, Spread
from tledge.bench.results.throttling import Throttling, words

__all__ = [
    "BoardReadings",
    "BoardSampler",
    "Spread",
    "Throttling",
    "read_power",
    "read_temperature",
    "read_throttling",
    "vcgencmd_complaint",
    "words",
]
