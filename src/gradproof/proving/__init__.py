"""What a check is worth: mistakes are planted in a gradient that was found right, to see that it refuses them."""

from gradproof.proving.record import BlindSpot, Outcome, Proof, Trial
from gradproof.proving.walk import prove, prove_problem

__all__ = ["BlindSpot", "Outcome", "Proof", "Trial", "prove", "prove_problem"]
