"""Families of functions whose true slope is known: the ground that the benchmark of accuracy stands on."""

from families import composite, hard, losses, low_precision, rough, smooth
from families.registry import Family, families

__all__ = ["Family", "composite", "families", "hard", "losses", "low_precision", "rough", "smooth"]
