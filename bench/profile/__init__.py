"""Profiles of model files by their runtimes' own profilers."""

from tledge.bench.profile.operator_profile import OperatorTime, Profile, profile_operators

__all__ = ["OperatorTime", "Profile", "profile_operators"]
