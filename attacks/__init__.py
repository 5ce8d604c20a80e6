"""Adversarial images, white-box and black-box; ``attacks.methods`` holds one attack per module."""

from tledge.attacks.attack import ATTACKS, Attack, AttackResult
from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import AttackSummary, MaskingSign, find_masking_signs
from tledge.attacks.loss_gradients import GradientModel, Gradients
from tledge.attacks.model_probe import probe
from tledge.attacks.threat_model import ThreatModel

__all__ = [
    "ATTACKS",
    "Attack",
    "AttackResult",
    "AttackSummary",
    "Goal",
    "GradientModel",
    "Gradients",
    "MaskingSign",
    "ThreatModel",
    "find_masking_signs",
    "probe",
]
