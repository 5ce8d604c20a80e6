"""The boards that can be emulated, and the files in which their kernel describes the CPU.

LiteRT and ONNX Runtime choose their kernels by ``/proc/cpuinfo`` and ``/sys``. If these describe the x86 host, both
crash at start.
"""

from __future__ import annotations

from dataclasses import dataclass

from tledge.core.errors import UnknownNameError

CORES = 4

SYSTEM_FILES = {f"sys/devices/system/cpu/{name}": f"0-{CORES - 1}\n" for name in ("possible", "present", "online")}
"""The contents of the files with the number of cores, by path in the root folder."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A Raspberry Pi as emulated programs see it.

    Attributes:
        name: the short name ("pi5").
        model: the name in the board's ``/proc/cpuinfo``.
        qemu_cpu: QEMU's name of the CPU core.
        part, variant, revision: fields of the core's main ID register (Arm ARM, MIDR_EL1), in Linux's format.
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
        """The contents of ``/proc/cpuinfo``: a block for each core, then the model."""
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
"""All boards by name."""


def find_board(name: str) -> Board:
    """Returns the board of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in BOARDS:
        raise UnknownNameError("board", name, BOARDS)
    return BOARDS[name]
