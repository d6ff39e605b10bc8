"""The walk over all cases: what a journal holds already, then the rest, here or by workers."""

__all__ = ["sweep"]

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from time import perf_counter
from typing import Any

from gradproof.engine import Shipped, Workers, WorkersLostError, block_size
from gradproof.progress import Listener, meter_for
from gradproof.sweeping.cases import Checks, product_of, recipes_of
from gradproof.sweeping.journal import Journal
from gradproof.sweeping.record import Case, Sweep, Swept, in_order


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
    floating constants; None leaves that to the problem. `seeds` also draw the probes. The other `options` are those of `check`.

    What a case raises is kept as its error. With a `journal`, a file, every finished case is a line in it, and cases that it
    holds already are not checked again, unless their problem's parameters, functions or options have changed: after Ctrl-C,
    a crash or lost workers, the same call goes on where it stopped. `workers` and `progress` are as for `check`; every worker
    checks whole cases.

    Raises ValueError or TypeError for axes that make no case, and for a journal that is another file; WorkersLostError
    with the Sweep so far as `known`.
    """
    recipes = recipes_of(problems)
    cases = product_of(recipes, backends, dtypes, shapes, seeds)
    checks = Checks(recipes, cases, options)
    opened = nullcontext() if journal is None else Journal(journal)
    with (
        Workers(workers) as crew,
        opened as kept,
        meter_for(progress, "sweep", len(cases), "checks") as meter,
    ):
        found = _kept(kept, checks, cases)
        meter.add(len(found))
        try:
            for swept in _rest(
                checks, [i for i, case in enumerate(cases) if case not in found], crew, recipes
            ):
                found[swept.case] = swept
                if kept is not None:
                    kept.add(swept)
                meter.add()
        except (KeyboardInterrupt, WorkersLostError) as error:
            _say_kept(error, found, cases, journal)
            raise
    return Sweep(tuple(in_order(found, cases)))


def _kept(journal: Journal | None, checks: Checks, cases: Sequence[Case]) -> dict[Case, Swept]:
    """What the journal holds of these very cases; of two entries the later."""
    if journal is None or not journal.entries:
        return {}
    numbers = {case: number for number, case in enumerate(cases)}
    return {
        entry.case: entry for entry in journal.entries
        if entry.case in numbers and entry.fingerprint == checks.fingerprint(numbers[entry.case])
    }  # fmt: skip


def _rest(checks: Checks, left: Sequence[int], crew: Workers, recipes: Mapping[str, Any]) -> Iterator[Swept]:
    """The first two cases are checked here: the second tells how long one takes, once everything is loaded."""
    each = 0.0
    for number in left[:2]:
        start = perf_counter()
        yield Swept.from_dict(checks([number])[0])
        each = perf_counter() - start
    rest = left[2:]
    size = block_size(each, len(rest)) if rest else 1
    blocks = [rest[start : start + size] for start in range(0, len(rest), size)]
    for _, entries in crew.run(Shipped(checks, dict(recipes)), blocks, each * len(rest)):
        yield from map(Swept.from_dict, entries)


def _say_kept(error: BaseException, found: Mapping[Case, Swept], cases: Sequence[Case], journal: Any) -> None:
    where = (
        f"in {os.fspath(journal)}: the same call goes on from there" if journal else "nowhere: pass journal="
    )
    error.add_note(f"gradproof: {len(found)} of {len(cases)} cases are finished, and kept {where}")
    if isinstance(error, WorkersLostError):
        error.known = Sweep(tuple(in_order(found, cases)))
