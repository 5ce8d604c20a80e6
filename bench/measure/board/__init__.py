"""Board health: model, throttling, temperature, clock, memory, voltage and power.

A board is a machine with a device tree (ARM boards) or with ``vcgencmd`` (Raspberry Pi). An x86 workstation is not a
board, and nothing is sampled there.

with BoardSampler() as sampler:
    ...
print(sampler.readings)
"""

from tledge.bench.measure.board.files import read_temperature
from tledge.bench.measure.board.sampler import BoardSampler
from tledge.bench.measure.board.vcgencmd import read_power, read_throttling, vcgencmd_error
from tledge.bench.results.board_readings import BoardReadings, Spread, Throttling, words

__all__ = [
    "BoardReadings",
    "BoardSampler",
    "Spread",
    "Throttling",
    "read_power",
    "read_temperature",
    "read_throttling",
    "vcgencmd_error",
    "words",
]
