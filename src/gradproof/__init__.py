"""gradproof proves or refutes a gradient.

It collects what several independent sources say the gradient is (your hand-written code, the function itself through
finite differences, JAX, PyTorch), says which of them agree within what each can know, and names the odd one out.
"""

from gradproof import initializers, numeric
from gradproof.activations import Activation
from gradproof.backend import Backend, BackendError, backend_for
from gradproof.check import GradientMismatch, assert_gradients, check, check_problem
from gradproof.codes import explain
from gradproof.conformance import conformance
from gradproof.diagnosing import first_wrong_node
from gradproof.engine import UnpicklableError, WorkersLostError
from gradproof.guard import GradientWarning, Guarded, guard
from gradproof.losses import Loss
from gradproof.network import Layer, Network
from gradproof.nodes import Node
from gradproof.porting import (
    Compared,
    Layout,
    LayoutError,
    Port,
    PortProblem,
    PortReport,
    PortResult,
    compare,
    compare_files,
    equinox_port,
    flax_port,
    function_port,
    read_port,
    record,
    tap,
    tap_cotangent,
    torch_port,
    transfer,
)
from gradproof.problems import Problem
from gradproof.progress import Progress
from gradproof.proving import BlindSpot, Outcome, Proof, Trial, prove, prove_problem
from gradproof.report import Report, SourceResult
from gradproof.sweeping import Case, Sweep, Swept, sweep
from gradproof.verdict import Certificate, Diagnosis, Estimate, Finding, Location, Reason, Verdict

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "Backend",
    "BackendError",
    "BlindSpot",
    "Case",
    "Certificate",
    "Compared",
    "Diagnosis",
    "Estimate",
    "Finding",
    "GradientMismatch",
    "GradientWarning",
    "Guarded",
    "Layer",
    "Layout",
    "LayoutError",
    "Location",
    "Loss",
    "Network",
    "Node",
    "Outcome",
    "Port",
    "PortProblem",
    "PortReport",
    "PortResult",
    "Problem",
    "Progress",
    "Proof",
    "Reason",
    "Report",
    "SourceResult",
    "Sweep",
    "Swept",
    "Trial",
    "UnpicklableError",
    "Verdict",
    "WorkersLostError",
    "assert_gradients",
    "backend_for",
    "check",
    "check_problem",
    "compare",
    "compare_files",
    "conformance",
    "equinox_port",
    "explain",
    "first_wrong_node",
    "flax_port",
    "function_port",
    "guard",
    "initializers",
    "numeric",
    "prove",
    "prove_problem",
    "read_port",
    "record",
    "sweep",
    "tap",
    "tap_cotangent",
    "torch_port",
    "transfer",
]
