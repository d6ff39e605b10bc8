"""Planted mistakes: ways for a gradient to be wrong on purpose.

A fault takes a Problem and returns one whose gradient is wrong, or None where it cannot show (a transposed vector,
a bias in a problem that has none). The checker is tested by what it must refuse.
"""

from gradproof.backend import unknown
from gradproof.faults.backward import BACKWARD
from gradproof.faults.behaviour import BEHAVIOUR
from gradproof.faults.entries import ENTRIES
from gradproof.faults.factors import FACTORS
from gradproof.faults.fault import Fault
from gradproof.faults.forms import FORMS
from gradproof.faults.places import PLACES
from gradproof.faults.terms import TERMS
from gradproof.problems import Problem

__all__ = ["FAULTS", "Fault", "plant"]

FAULTS: dict[str, Fault] = {
    fault.name: fault for fault in (*FACTORS, *TERMS, *ENTRIES, *PLACES, *FORMS, *BEHAVIOUR, *BACKWARD)
}
"""All faults by name."""


def plant(name: str, problem: Problem) -> Problem:
    """`problem` with fault `name` in its gradient.

    Raises ValueError for an unknown name, or a fault that cannot show in this problem.
    """
    if name not in FAULTS:
        raise ValueError(unknown("fault", name, tuple(FAULTS)))
    planted = FAULTS[name].plant(problem)
    if planted is None:
        raise ValueError(
            f"the fault {name!r} ({FAULTS[name].says}) cannot show in {problem.name}; choose another"
        )
    return planted
