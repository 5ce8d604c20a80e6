"""Which results can be compared: accuracy on the same photos, times on the same machine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tledge.bench.results.photo_overlap import SEEN
from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.number_text import counted

GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class PhotoGroup:
    """Benchmarks of the same photos.

    Attributes:
        benchmarks: at least one.
        images: how many photos were classified; 0 for benchmarks without photos.
        classes: how many classes the models have.
        seen: some of the photos were used in training.
        known: the photos are recorded, so that others can be recognized as the same ones.
    """

    benchmarks: tuple[StoredResults, ...]
    images: int
    classes: int
    seen: bool
    known: bool

    @property
    def title(self) -> str:
        """What the photos are: "300 photos of 2 classes"."""
        if not self.images:
            return "Without photos"
        training = ", some used in training" if self.seen else ""
        return f"{counted(self.images, 'photos')} of {counted(self.classes, 'classes')}{training}"


def group_by_photos(benchmarks: Sequence[StoredResults]) -> list[PhotoGroup]:
    """Returns groups of benchmarks that classified the same photos with the same labels, the largest group first.

    Photos are the same if their fingerprint is: their names, classes and contents. Benchmarks whose photos are not
    recorded are groups of their own; those without photos, which measured no accuracy, are one group.
    """
    found: dict[Hashable, list[StoredResults]] = {}
    for benchmark in benchmarks:
        found.setdefault(_photo_key(benchmark), []).append(benchmark)
    groups = [_photo_group(members) for members in found.values()]
    return sorted(groups, key=lambda group: (not group.images, -len(group.benchmarks)))


def _photo_key(benchmark: StoredResults) -> Hashable:
    if not _images(benchmark):
        return "none"
    if not benchmark.photos or not benchmark.labels:
        return benchmark.path
    return benchmark.photos, benchmark.labels, _seen(benchmark)


def _photo_group(members: Sequence[StoredResults]) -> PhotoGroup:
    first = members[0]
    classes = len(first.settings.class_names) if first.settings is not None else len(set(first.labels))
    return PhotoGroup(
        benchmarks=tuple(members),
        images=_images(first),
        classes=classes,
        seen=_seen(first),
        known=bool(first.photos and first.labels) or not _images(first),
    )


def _images(benchmark: StoredResults) -> int:
    return max((item.n for item in benchmark.measurements if item.metric == "top1"), default=0)


def _seen(benchmark: StoredResults) -> bool:
    return any(item.params.get("split") == SEEN for item in benchmark.measurements if item.metric == "top1")


def machine_key(benchmark: StoredResults, cell: StoredCell) -> Hashable:
    """Returns what is equal only for cells of one machine, in the same state: host, CPU, cores, memory and governor.

    ``machine_titles`` names every part that differs. A machine without a record is only that of its own benchmark.
    """
    machine = cell.environment
    if machine is None:
        return benchmark.path
    hardware = (machine.host, machine.machine, machine.cpu, machine.cpu_features, machine.cores)
    place = "" if benchmark.settings is None else benchmark.settings.on
    return *hardware, machine.usable_cores, round(machine.memory / GIB), machine.governor, place
