"""gradproof proves or refutes a gradient.

It collects what several independent sources say the gradient is (your hand-written code, the function itself through
finite differences, JAX, PyTorch), says which of them agree within what each can know, and names the odd one out.
"""

from gradproof import initializers, numeric
from gradproof.activations import Activation
from gradproof.backend import Backend, BackendError, backend_for
from gradproof.check import GradientMismatch, assert_gradients, check, check_problem
from gradproof.conformance import conformance
from gradproof.losses import Loss
from gradproof.network import Layer, Network
from gradproof.problems import Problem
from gradproof.report import Report, SourceResult
from gradproof.verdict import Certificate, Estimate, Finding, Reason, Verdict

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "Backend",
    "BackendError",
    "Certificate",
    "Estimate",
    "Finding",
    "GradientMismatch",
    "Layer",
    "Loss",
    "Network",
    "Problem",
    "Reason",
    "Report",
    "SourceResult",
    "Verdict",
    "assert_gradients",
    "backend_for",
    "check",
    "check_problem",
    "conformance",
    "initializers",
    "numeric",
]
