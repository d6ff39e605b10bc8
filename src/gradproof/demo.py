"""What `gradproof demo` shows: a right gradient proven, then a planted mistake refused."""

__all__ = ["list_faults", "run_course", "run_digits"]

from rich.console import Console

from gradproof.check import check_problem
from gradproof.course import check_gradients, digits_problem
from gradproof.faults import FAULTS, plant
from gradproof.report.terminal import show
from gradproof.verdict import Verdict

DEFAULT_FAULT = "bias-regularised"
"""A mistake that still lets the cost fall in training: only a check finds it."""


def run_digits(lam: float | None, fault: str | None, seed: int) -> bool:
    """Check the network on the digits, then with a fault; whether the first agreed and the second was refused."""
    console = Console(highlight=False)
    problem = digits_problem(1.0 if lam is None else lam, seed)
    name = fault or DEFAULT_FAULT
    faulty = plant(name, problem)
    _heading(console, problem.name, "hand-written backprop")
    right = check_problem(problem, seed=seed)
    show(right, console)
    _heading(console, problem.name, f"planted mistake: {FAULTS[name].says} ({name})")
    wrong = check_problem(faulty, seed=seed)
    show(wrong, console)
    return right.verdict is Verdict.AGREES and wrong.verdict is Verdict.DISAGREES


def run_course(lam: float | None, fault: str | None, seed: int) -> bool:
    """Print the course's table and the report; whether the verdict was the due one."""
    console = Console(highlight=False)
    table = check_gradients(0.0 if lam is None else lam, fault, seed)
    _heading(console, "course network 3-5-3", FAULTS[fault].says if fault else "hand-written backprop")
    console.print(str(table), soft_wrap=True)
    console.print()
    show(table.report, console)
    return table.report.verdict is (Verdict.DISAGREES if fault else Verdict.AGREES)


def list_faults() -> int:
    """Print the names of all faults with what they do."""
    console = Console(highlight=False)
    width = max(map(len, FAULTS))
    for fault in FAULTS.values():
        console.print(f"{fault.name:{width}}  {fault.says}", soft_wrap=True)
    return 0


def _heading(console: Console, what: str, how: str) -> None:
    console.print(f"\n[bold]{what}[/bold]: {how}\n")
