"""How far a long call has come."""

from gradproof.progress.meter import CHECK, PROOF, Listener, Meter, Progress, meter_for

__all__ = ["CHECK", "PROOF", "Listener", "Meter", "Progress", "meter_for"]
