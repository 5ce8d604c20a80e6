"""How long things take to start, side by side, alternating in one run.

    python benchmarks/startup.py

Prints the median seconds of each command over 15 rounds, and what it takes above the one that it is held
against. A whole process is timed, from its start to its end.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
COMMANDS = {
    "python -c 'import typer'": ["-c", "import typer"],
    "tledge --help": ["-c", "from tledge.cli.main import main; main()", "--help"],
    "tledge train --help": ["-c", "from tledge.cli.main import main; main()", "train", "--help"],
    "python -c 'import numpy, PIL.Image'": ["-c", "import numpy, PIL.Image"],
    "python -c 'import tledge.edge_runtime'": ["-c", "import tledge.edge_runtime"],
}
HELD_AGAINST = {
    "tledge --help": "python -c 'import typer'",
    "tledge train --help": "python -c 'import typer'",
    "python -c 'import tledge.edge_runtime'": "python -c 'import numpy, PIL.Image'",
}


def seconds(arguments: list[str]) -> float:
    """Wall time of one fresh interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Times all commands in turn, round by round."""
    samples: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_number in range(ROUNDS + 1):
        for name, arguments in COMMANDS.items():
            taken = seconds(arguments)
            if round_number > 0:  # the first round warms the disk cache
                samples[name].append(taken)
    for name, taken_by_round in samples.items():
        line = f"{name:<40} {statistics.median(taken_by_round):.3f} s"
        if name in HELD_AGAINST:
            pairs = zip(taken_by_round, samples[HELD_AGAINST[name]], strict=True)
            line += f"   {statistics.median(a - b for a, b in pairs):+.3f} s above {HELD_AGAINST[name]}"
        print(line)


if __name__ == "__main__":
    main()
