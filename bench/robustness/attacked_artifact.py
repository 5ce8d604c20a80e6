"""The logits of artifacts on attacked photos."""

from __future__ import annotations

from dataclasses import dataclass, field

from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.results.metrics import Hits
from tledge.bench.results.settings import Skipped
from tledge.bench.robustness.attack_set import AttackSet
from tledge.bench.robustness.attacked_photos import AttackedPhotos
from tledge.bench.robustness.robustness_cells import RobustnessCell
from tledge.edge_runtime.tensor import Logits


@dataclass(frozen=True, eq=False)
class AttackedLogits:
    """An artifact's logits on attacked photos.

    Attributes:
        setting: "transfer" for images made on another model, "direct" for those made on this very file.
        logits: float32 (N, classes).
    """

    attacked: AttackedPhotos
    setting: str
    logits: Logits

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for the same attack on different models."""
        attacked = self.attacked
        return (attacked.attack, self.setting, attacked.threat, attacked.steps, attacked.seed)

    def correct(self, goal: Goal) -> Hits:
        """Returns which photos are classified correctly: bool (N,)."""
        correct: Hits = self.logits.argmax(axis=1) == goal.labels
        return correct


@dataclass(eq=False)
class AttackedArtifact:
    """An artifact under attack; the attack run adds to it.

    Attributes:
        clean_logits: float32 (N, classes), on the original photos.
        attacked_logits: its logits on the photos of each attack.
        model_signs: signs of gradient masking in it or in the Keras model that it was exported from.
        complete: whether all planned attacks were made.
    """

    cell: RobustnessCell
    clean_logits: Logits
    attacked_logits: list[AttackedLogits] = field(default_factory=list)
    model_signs: list[MaskingSign] = field(default_factory=list)
    complete: bool = False

    @property
    def norms(self) -> list[str]:
        """The norms of the attacks, each once."""
        return list(dict.fromkeys(item.attacked.threat.norm for item in self.attacked_logits))

    def comes_from(self, source_sha256: str) -> bool:
        """Returns whether it is that model, or was exported from it."""
        return source_sha256 in (self.cell.result.artifact_sha256, self.cell.sidecar.source_sha256)

    def correct_clean(self, goal: Goal) -> Hits:
        """Returns which original photos are classified correctly: bool (N,)."""
        correct: Hits = self.clean_logits.argmax(axis=1) == goal.labels
        return correct


@dataclass(frozen=True, eq=False)
class AttackResults:
    """The outcome of all attacks.

    Attributes:
        attack_set: the photos; None where nothing was attacked.
        artifacts: in the order in which they were attacked.
        skipped: the artifacts that could not be attacked, and why.
        interrupted: whether Ctrl-C ended the attacks early.
    """

    attack_set: AttackSet | None = None
    artifacts: tuple[AttackedArtifact, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    interrupted: bool = False
