"""The boards that can be emulated, and what their kernel tells programs about the CPU.

LiteRT and ONNX Runtime choose their kernels by ``/proc/cpuinfo`` and ``/sys``; where these show the x86 host's, both
crash at start.
"""

from __future__ import annotations

from dataclasses import dataclass

from tledge.core.errors import UnknownNameError

CORES = 4

SYSTEM_FILES = {f"sys/devices/system/cpu/{name}": f"0-{CORES - 1}\n" for name in ("possible", "present", "online")}
"""Text of each file that tells how many cores there are, by its path in the root folder."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A Raspberry Pi, as far as an emulated program can tell.

    Attributes:
        name: as users type it ("pi5").
        model: as the board's own ``/proc/cpuinfo`` names it.
        qemu_cpu: QEMU's name of the CPU core.
        part, variant, revision: fields of the core's main ID register (Arm ARM, MIDR_EL1), as Linux shows them.
        features: the extensions that its kernel reports.
    """

    name: str
    model: str
    qemu_cpu: str
    part: str
    variant: str
    revision: int
    features: str

    @property
    def cpuinfo(self) -> str:
        """The text of ``/proc/cpuinfo``: a block for each core, then the model."""
        cores = "".join(
            f"processor\t: {core}\n"
            "BogoMIPS\t: 108.00\n"
            f"Features\t: {self.features}\n"
            "CPU implementer\t: 0x41\n"
            "CPU architecture: 8\n"
            f"CPU variant\t: {self.variant}\n"
            f"CPU part\t: {self.part}\n"
            f"CPU revision\t: {self.revision}\n"
            "\n"
            for core in range(CORES)
        )
        return f"{cores}Model\t\t: {self.model}\n"


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="pi4",
            model="Raspberry Pi 4 Model B Rev 1.4",
            qemu_cpu="cortex-a72",
            part="0xd08",
            variant="0x0",
            revision=3,
            features="fp asimd evtstrm crc32 cpuid",
        ),
        Board(
            name="pi5",
            model="Raspberry Pi 5 Model B Rev 1.0",
            qemu_cpu="cortex-a76",
            part="0xd0b",
            variant="0x4",
            revision=1,
            features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
            " asimddp",
        ),
    )
}
"""Every board by its name."""


def find_board(name: str) -> Board:
    """The board of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in BOARDS:
        raise UnknownNameError("board", name, BOARDS)
    return BOARDS[name]
