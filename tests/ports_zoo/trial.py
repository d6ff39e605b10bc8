"""One planted mistake, compared, and what was said of it beside what was due."""

__all__ = ["FREE", "Trial", "proven", "same_layout", "trial"]

import time
from dataclasses import dataclass

import numpy as np

from ports_zoo.plants import Plant, ports_of


@dataclass(frozen=True)
class Trial:
    """What became of a planted mistake."""

    plant: str
    weights: str
    """ "copied" from the reference, or the port's "own", for which a layout had to be found despite the mistake."""
    verdict: str
    due: tuple[str, ...]
    """Places any of which is the first, in the reference's names."""
    first: tuple[str, ...]
    """Places that were named: the first node that is wrong by itself; else the findings of its kind."""
    placed: bool
    codes: tuple[str, ...]
    """Any of which is right."""
    said: tuple[str, ...]
    """Diagnoses: code, sentence, places."""
    named: bool
    """Whether the first diagnosis has a right code; of a mistake that is in no catalogue, whether nothing was said."""
    among: bool
    """Whether one of them has."""
    false: tuple[str, ...]
    """Nodes before the mistake that were called wrong."""
    by_hand: bool
    """Whether the layout is the one that a person wrote; beside the point where that was spoiled."""
    runs: int
    """Of both ports."""
    seconds: float


def trial(plant: Plant, *, copied: bool | None = None) -> Trial:
    """Compare, and judge the answer."""
    from gradproof.porting.compare import compare

    ports, inputs = ports_of(plant, copied=copied)
    started = time.perf_counter()
    report = compare(ports, inputs, targets=plant.targets, optimizers=plant.optimizers)
    seconds = time.perf_counter() - started
    one = report.compared["flax"]
    first = _first(plant, one)
    return Trial(
        plant=plant.name,
        weights="copied" if (plant.copied if copied is None else copied) else "own",
        verdict=report.verdict.value,
        due=plant.first,
        first=first,
        placed=not plant.first or (bool(first) and first[0] in plant.first),
        codes=plant.codes,
        said=tuple(f"{d.code} {d.says} ({', '.join(d.leaves)})" for d in one.diagnoses),
        named=one.diagnoses[0].code in plant.codes if one.diagnoses else not plant.codes,
        among=any(d.code in plant.codes for d in one.diagnoses),
        false=_false(plant, one),
        by_hand=same_layout(plant.pair, ports, one.layout),
        runs=sum(result.runs for result in report.ports.values()),
        seconds=seconds,
    )


def _first(plant, one):
    """What is named as the place; of a mistake in the loss, what is not a node comes first."""
    wrong = tuple(
        f.leaf or f"({f.what})"
        for f in one.findings
        if f.what == plant.where and f.verdict.value == "DISAGREES"
    )
    if plant.where == "loss" and one.first_forward is None:
        return wrong
    if one.first_forward is not None:
        return (one.first_forward,)
    if one.first_backward is not None:
        return (one.first_backward,)
    return wrong


def _false(plant, one):
    """Nodes that are called wrong by themselves and come before the first that is."""
    from gradproof.porting.record import Mark

    keys = [row.key for row in one.rows]
    rows = list(zip(keys, one.rows, strict=True))
    if plant.where == "backward":
        return tuple(key for key, row in rows if row.forward is Mark.WRONG)
    begins = min((keys.index(key) for key in plant.first if key in keys), default=None)
    if plant.where == "forward" and begins is not None:
        return tuple(key for key, row in rows[:begins] if Mark.WRONG in (row.forward,))
    return ()


def proven(pair):
    """The two ports of an equal pair, each with weights of its own, and the report on them."""
    from gradproof.porting.compare import compare
    from gradproof.porting.doors import equinox_port, flax_port, torch_port

    model = pair.port()
    port = (
        equinox_port(model, call=pair.port_call)
        if pair.framework == "equinox"
        else flax_port(*(model if isinstance(model, tuple) else (model,)), call=pair.port_call)
    )
    ports = {"torch": torch_port(pair.reference(), call=pair.reference_call), "jax": port}
    return ports, compare(ports, dict(zip(ports, pair.inputs(), strict=True)))


FREE = ("key.bias", "key_proj.bias")
"""Ends of paths of what nothing depends on: a constant added to all scores of a query changes no softmax."""


def same_layout(pair, ports, layout):
    """Whether every parameter of the port comes from where a person takes it."""
    ours, theirs = ({**port.parameters, **port.buffers} for port in ports.values())
    shared = {path: ours[first] for path, first in ports["torch"].shared.items()}
    due = {path: x for path, x in pair.by_hand(ours | shared).items() if not path.endswith(FREE)}
    found = {path.replace("[", ".").replace("]", ""): x for path, x in layout.apply(ours).items()}
    return (
        not layout.unmatched
        and len(found) == len(theirs)
        and all(path in found and np.allclose(found[path], x, rtol=1e-6, atol=0) for path, x in due.items())
    )
