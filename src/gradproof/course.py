"""The lesson gradproof grew from, and the same on real data.

`check_gradients` is exercise 4 of Ng's Machine Learning course (checkNNGradients): a 3-5-3 network with sine weights,
backprop against central differences with ε = 1e-4, now beside JAX and PyTorch. `digits_problem` is its network on
1,797 handwritten digits.
"""

__all__ = ["CourseTable", "check_gradients", "course_problem", "digits", "digits_problem"]

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.check import check_problem
from gradproof.faults import plant
from gradproof.initializers import debug_sine
from gradproof.network import Layer, Network
from gradproof.numeric import central_difference
from gradproof.problems import Problem
from gradproof.report import Report

COURSE_NETWORK = Network((3, 5, 3))
DIGITS_NETWORK = Network((64, 25, 10))
COURSE_EXAMPLES = 5


def course_problem(lam: float = 0.0) -> Problem:
    """The course's 3-5-3 network: sine weights, five examples of sine inputs, labels 1 + mod(1:5, 3)."""
    params = tuple(_as_layer(debug_sine(fan_in, fan_out)) for fan_in, fan_out in ((3, 5), (5, 3)))
    x = debug_sine(2, COURSE_EXAMPLES)
    y = np.eye(3)[np.arange(1, COURSE_EXAMPLES + 1) % 3]
    return Problem(
        "course network 3-5-3", COURSE_NETWORK.loss, params, (x, y, lam), grad=COURSE_NETWORK.gradient
    )


def digits() -> tuple[HostArray, HostArray]:
    """1,797 handwritten digits: inputs (1797, 64) in [0, 1], one-hot targets (1797, 10).

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, test set, UCI 1998, CC BY 4.0.
    """
    with (files("gradproof") / "data" / "digits.npz").open("rb") as file, np.load(file) as data:
        return data["images"] / 16.0, np.eye(10)[data["labels"]]


def digits_problem(lam: float = 1.0, seed: int = 0) -> Problem:
    """The course's network, 64-25-10, on the digits: weights uniform in [−0.12, 0.12], L2 with the bias left out."""
    params = DIGITS_NETWORK.init(seed=seed)
    args = (*digits(), lam)
    return Problem(
        "course network 64-25-10 on 1,797 digits",
        DIGITS_NETWORK.loss,
        params,
        args,
        grad=DIGITS_NETWORK.gradient,
    )


@dataclass(frozen=True)
class CourseTable:
    """The course's table: one row per parameter, in the order of θ."""

    columns: dict[str, HostArray]
    """"backprop", "numeric" (central differences) and one per framework: each of shape (parameters,)."""
    lam: float
    report: Report

    @property
    def relative_difference(self) -> float:
        """‖numeric − backprop‖ / ‖numeric + backprop‖, the course's figure; it asks for less than 1e-9."""
        backprop, numeric = self.columns["backprop"], self.columns["numeric"]
        return float(np.linalg.norm(numeric - backprop) / np.linalg.norm(numeric + backprop))

    def __str__(self) -> str:
        names = list(self.columns)
        lines = [f"lambda = {self.lam:g}", "  " + "  ".join(f"{name:>13}" for name in (*names, "difference"))]
        for row in zip(*self.columns.values(), strict=True):
            difference = row[0] - row[1]
            lines.append("  " + "  ".join(f"{value:+13.6e}" for value in (*row, difference)))
        lines.append(f"relative difference of backprop and numeric: {self.relative_difference:.3e}")
        return "\n".join(lines)


def check_gradients(lam: float = 0.0, fault: str | None = None, seed: int = 0) -> CourseTable:
    """The course's gradient check of the 3-5-3 network, with a column per framework and the Report.

    `fault` plants a mistake in the backprop. Raises ValueError for an unknown one.
    """
    problem = course_problem(lam) if fault is None else plant(fault, course_problem(lam))
    report = check_problem(problem, seed=seed)
    x, y, _ = problem.args
    numeric = central_difference(lambda t: COURSE_NETWORK.loss(t, x, y, lam), _theta(problem.params))
    backprop = problem.grad(problem.params, *problem.args) if problem.grad else ()
    frameworks = {name: _theta(tree) for name, tree in report.gradients.items() if name != "hand"}
    return CourseTable({"backprop": _theta(backprop), "numeric": numeric, **frameworks}, lam, report)


def _as_layer(matrix: HostArray) -> Layer:
    """Layer of the course's matrix [bias | weight], (out, in + 1)."""
    return Layer(np.ascontiguousarray(matrix[:, 1:]), np.ascontiguousarray(matrix[:, 0]))


def _theta(layers: Sequence[Any]) -> HostArray:
    return np.asarray(COURSE_NETWORK.flatten(tuple(layers)))
