"""The walk over all cases: what a journal holds already, then the rest, here or by workers."""

__all__ = ["sweep"]

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from math import inf
from time import perf_counter
from typing import Any

from gradproof.engine import Crashed, Shipped, Workers, WorkersLostError, block_size
from gradproof.progress import Listener, meter_for
from gradproof.sweeping.cases import Checks, admitted, product_of, recipes_of
from gradproof.sweeping.fingerprints import fingerprint
from gradproof.sweeping.journal import Journal
from gradproof.sweeping.record import Case, Sweep, Swept, in_order

LOADING_SECONDS = 5.0
"""In which what a check needs is loaded: JAX and torch take 2 s each. A longer check is its own measure."""


def sweep(  # noqa: PLR0913 -- the axes of the product, then choices by keyword
    problems: Any,
    backends: Iterable[str | None] = (None,),
    dtypes: Iterable[str | None] = (None,),
    shapes: Iterable[Sequence[int] | None] = (None,),
    seeds: Iterable[int] = (0,),
    *,
    journal: str | os.PathLike[str] | None = None,
    workers: Any = None,
    progress: bool | Listener = False,
    **options: Any,
) -> Sweep:
    """`check` every problem in every backend, dtype, shape and with every seed.

    `problems` is a Problem, a function of any of `shape`, `dtype` (its name) and `seed` that makes one, a sequence of these, or
    a dict of them by name. `backends` names the framework that holds the parameters, `dtypes` their dtype and that of
    floating constants; None leaves that to the problem. `seeds` also draw the probes. `options` are those of `check`: sources,
    resolution, confidence, diagnose.

    What a case raises is kept as its error, and that its process did not survive it. With a `journal`, a file, every finished case is a line in it, and cases that it
    holds already are not checked again, unless their parameters, the code of their functions or the options have changed: after Ctrl-C,
    a crash or lost workers, the same call goes on where it stopped. `workers` and `progress` are as for `check`; every worker
    checks whole cases.

    Raises ValueError or TypeError for axes that make no case, and for a journal that is another file; WorkersLostError
    with the Sweep so far as `known`.
    """
    recipes = recipes_of(problems)
    cases = product_of(recipes, backends, dtypes, shapes, seeds)
    shared = admitted(options)
    checks = Checks(recipes, cases, shared)
    prints = {name: fingerprint(name, recipe, shared) for name, recipe in recipes.items()}
    opened = nullcontext() if journal is None else Journal(journal)
    with (
        Workers(workers) as crew,
        opened as kept,
        meter_for(progress, "sweep", len(cases), "checks") as meter,
    ):
        found = _kept(kept, prints, cases)
        meter.skip(len(found))
        try:
            for swept in _rest(
                checks, [i for i, case in enumerate(cases) if case not in found], crew, recipes
            ):
                found[swept.case] = replace(swept, fingerprint=prints[swept.case.problem])
                if kept is not None:
                    kept.add(found[swept.case])
                meter.add()
        except (KeyboardInterrupt, WorkersLostError) as error:
            _say_kept(error, found, cases, journal)
            raise
    return Sweep(tuple(in_order(found, cases)))


def _kept(journal: Journal | None, prints: Mapping[str, str], cases: Sequence[Case]) -> dict[Case, Swept]:
    """What the journal holds of these very cases; of two entries the later."""
    due = set(cases)
    return {
        entry.case: entry for entry in (journal.entries if journal else ())
        if entry.case in due and entry.fingerprint == prints[entry.case.problem]
    }  # fmt: skip


def _rest(checks: Checks, left: Sequence[int], crew: Workers, recipes: Mapping[str, Any]) -> Iterator[Swept]:
    """A case is checked here to see how long one takes, and another if that was quick: the first loads whatever is needed."""
    rest, each = list(left), 0.0
    while rest and len(left) - len(rest) < 2 and each <= LOADING_SECONDS:
        start = perf_counter()
        yield Swept.from_dict(checks([rest.pop(0)])[0])
        each = perf_counter() - start
    size = block_size(each, len(rest)) if rest else 1
    blocks = [rest[start : start + size] for start in range(0, len(rest), size)]
    work = Shipped(checks, dict(recipes), "run the sweep without workers")
    yield from _of_blocks(checks, work, blocks, crew, each)


def _of_blocks(
    checks: Checks, work: Shipped, blocks: Sequence[Sequence[int]], crew: Workers, each: float
) -> Iterator[Swept]:
    """What becomes of all of them; the cases of a block that took its process along are checked one by one."""
    suspects: list[Sequence[int]] = []
    for number, entries in crew.run(work, blocks, each * sum(map(len, blocks))):
        if not isinstance(entries, Crashed):
            yield from map(Swept.from_dict, entries)
        elif len(blocks[number]) == 1:
            yield checks.crashed(blocks[number][0], entries.why)
        else:
            suspects += [[case] for case in blocks[number]]
    if suspects:
        yield from _of_blocks(checks, work, suspects, crew, inf)


def _say_kept(error: BaseException, found: Mapping[Case, Swept], cases: Sequence[Case], journal: Any) -> None:
    where = (
        f"in {os.fspath(journal)}: the same call goes on from there" if journal else "nowhere: pass journal="
    )
    error.add_note(f"gradproof: {len(found)} of {len(cases)} cases are finished, and kept {where}")
    if isinstance(error, WorkersLostError):
        error.known = Sweep(tuple(in_order(found, cases)))
