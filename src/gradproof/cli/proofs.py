"""`gradproof prove`."""

__all__ = ["run"]

import argparse
from collections.abc import Sequence
from functools import partial

from gradproof.cli.exits import AGREES, UNDECIDED, of_report, worst
from gradproof.cli.running import Asked, Outcome, console_for, each, heading, say_refused
from gradproof.progress import PROOF, meter_for
from gradproof.proving import Outcome as Fate
from gradproof.proving import Proof, prove_problem
from gradproof.proving.terminal import show
from gradproof.report.terminal import show as show_report
from gradproof.verdict import Verdict

SOURCES = ("numeric", "hand")
"""Who is asked unless it is chosen: every planted mistake is one more check."""


def run(options: argparse.Namespace) -> int:
    """Prove every Problem in the targets and return the exit code. Raises ValueError without a target."""
    if not options.targets:
        raise ValueError("prove needs a TARGET: FILE.py, FILE.py::NAME, module or module:NAME")
    console = console_for(options)
    codes = []
    for outcome in each(options, partial(_prove, faults=options.fault)):
        codes.append(outcome.code)
        if outcome.asked is not None and outcome.proof is not None:
            heading(outcome.asked.name, console)
            if outcome.proof.verdict is not Verdict.AGREES:
                show_report(outcome.proof.report, console)
                console.print()
            show(outcome.proof, console)
            console.print()
            say_refused(outcome.label, outcome.proof.report, _sources(outcome.asked))
    return worst(codes)


def _prove(asked: Asked, faults: Sequence[str] | None) -> Outcome:
    with meter_for(True, asked.title, PROOF) as meter:
        proof = prove_problem(
            asked.problem, sources=_sources(asked), faults=faults, seed=asked.settings["seed"], progress=meter
        )
    return Outcome(asked.label, _code(proof, _sources(asked)), asked, proof=proof)


def _sources(asked: Asked) -> Sequence[str]:
    return asked.settings.sources(asked.problem) or SOURCES


def _code(proof: Proof, sources: Sequence[str]) -> int:
    """That of the claim; where it agrees and a planted mistake was not caught, UNDECIDED."""
    code = of_report(proof.report, sources)
    caught = bool(proof.trials) and all(trial.outcome is Fate.CAUGHT for trial in proof.trials)
    return code if code != AGREES or caught else UNDECIDED
