"""From a pair that is wrong by itself to the Stretch that a diagnosis works on."""

__all__ = ["gradient_stretch", "stretch_of"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.porting.alignment.align import Pair
from gradproof.porting.comparing.against import Against
from gradproof.porting.port import Module, Port, Run, Seen
from gradproof.porting.stretch import Stretch

MOST_INPUTS = 64
"""Nodes before a node that a diagnosis may look at: a transformer block has about 40."""


def stretch_of(against: Against, pair: Pair, *, backward: tuple[Run, Run] | None = None) -> Stretch:
    """The stretch that leads to a pair, in both ports; its cotangents are those of the runs `backward`."""
    reference, port = against.reference, against.port
    ours, theirs = reference.double.by_key[pair.reference], port.double.by_key[pair.port]
    run = against.local or port.double
    mine, other = _module(reference.port, ours), _module(port.port, theirs)
    stretch = Stretch(
        key=pair.reference,
        other=pair.port,
        role=ours.role,
        kind=ours.kind or mine.kind,
        other_kind=theirs.kind or other.kind,
        settings=mine.settings,
        other_settings=other.settings,
        inputs=_before(reference.double, ours),
        parameters=_under(reference.all_leaves, ours),
        expected=in_double(ours.value),
        found=_read(pair, run),
        bar=_bar(against.value_gap(pair, run).bar, against.forward[pair].bar),
        other_inputs={node.key: in_double(node.value) for node in _alone(against, pair, run)},
        other_parameters=_used(port.all_leaves, theirs, _alone(against, pair, run)),
        again=_again(against, pair) if against.local else None,
    )
    return _with_cotangents(stretch, against, pair, backward) if backward else stretch


def _bar(*bars: float) -> float:
    return max((bar for bar in bars if bar == bar), default=0.0)  # noqa: PLR0124 -- NaN is the one that differs from itself


def _module(port: Port, node: Seen) -> Module:
    return port.modules.get(node.name, Module(node.kind))


def _read(pair: Pair, run: Run) -> HostArray:
    return pair.view.back(in_double(run.by_key[pair.port].value))


def _before(run: Run, node: Seen) -> dict[str, HostArray]:
    """Values before a node, its own module's inputs first, then the nearest first."""
    keys = [other.key for other in run.nodes]
    earlier = [run.nodes[i] for i in reversed(range(keys.index(node.key)))]
    own = [
        other
        for other in earlier
        if node.role == "output" and other.role == "input" and other.name == node.name
    ]
    chosen = [*reversed(own), *(other for other in earlier if other not in own)]
    return {other.key: in_double(other.value) for other in chosen[:MOST_INPUTS]}


def _under(leaves: Mapping[str, HostArray], node: Seen) -> dict[str, HostArray]:
    """Leaves of the module of a node; all of them where it is a tap, or the whole."""
    if node.role == "input":
        return {}
    if not node.name or node.role == "tap":
        return dict(leaves)
    return {
        path: leaf for path, leaf in leaves.items() if path.startswith((f"{node.name}.", f"{node.name}["))
    }


def _used(leaves: Mapping[str, HostArray], node: Seen, before: Sequence[Seen]) -> dict[str, HostArray]:
    """Leaves of the module of a node; of an input, those of the modules that have no partner before it."""
    if node.role != "input":
        return _under(leaves, node)
    found: dict[str, HostArray] = {}
    for other in before:
        if other.role == "output" and other.name:
            found |= _under(leaves, other)
    return found


def _alone(against: Against, pair: Pair, run: Run) -> list[Seen]:
    """Nodes of the port without partner before this one, the nearest first."""
    partners = {other.port for other in against.pairs}
    before: list[Seen] = []
    for node in run.nodes:
        if node.key == pair.port:
            break
        if node.key not in partners:
            before.append(node)
    return before[::-1][:MOST_INPUTS]


def _again(against: Against, pair: Pair) -> Callable[[Mapping[str, HostArray]], HostArray]:
    def again(replaced: Mapping[str, HostArray]) -> HostArray:
        run = rerun(against, {**against.port.all_leaves, **replaced})
        return _read(pair, run)

    return again


def rerun(against: Against, leaves: Mapping[str, HostArray]) -> Run:
    """The forced run with other parameters."""
    return against.port.run(forced=against.forced, parameters=leaves)


def _with_cotangents(stretch: Stretch, against: Against, pair: Pair, runs: tuple[Run, Run]) -> Stretch:
    ours, theirs = runs[0].by_key[pair.reference].cotangent, runs[1].by_key[pair.port].cotangent
    none = np.zeros(stretch.expected.shape)
    changed: dict[str, Any] = {
        "inputs": {stretch.key: stretch.expected, **stretch.inputs},
        "expected_cotangent": none if ours is None else in_double(ours),
        "found_cotangent": none if theirs is None else pair.view.back(in_double(theirs)),
        "cotangent_bar": against.backward[pair].bar if pair in against.backward else nan,
    }
    return replace(stretch, **changed)


def gradient_stretch(against: Against, path: str, runs: tuple[Run, Run] | None) -> Stretch:
    """A parameter whose gradient is wrong by itself, as a stretch that leads to it."""
    ours, theirs = runs or (against.reference.double, against.port.double)
    value = against.reference.all_leaves[path]
    return Stretch(
        key=path, other=path, role="tap", kind="", other_kind="", settings={}, other_settings={},
        inputs={path: value}, parameters={}, expected=value, found=value, bar=0.0,
        expected_cotangent=in_double((ours.gradients or {})[path]),
        found_cotangent=against.pull(theirs)[path],
        cotangent_bar=against.gradient_gaps[path].bar, uses=_uses(against, path, ours),
    )  # fmt: skip


def _uses(against: Against, path: str, run: Run) -> dict[str, HostArray]:
    """What linear layers of the reference add to the gradient of a matrix, by the key of their output."""
    shape = against.reference.all_leaves[path].shape
    aliases = (other for other, first in against.reference.port.shared.items() if first == path)
    modules = {one.rpartition(".")[0] for one in (path, *aliases)}
    uses: dict[str, HostArray] = {}
    last: dict[str, Seen] = {}
    for node in run.nodes:
        if node.name not in modules or node.role not in ("input", "output"):
            continue
        if node.role == "input":
            last[node.name] = node
        elif node.name in last and node.cotangent is not None:
            outer = _outer(in_double(last[node.name].value), in_double(node.cotangent))
            if shape in (outer.shape, outer.T.shape):
                uses[node.key] = outer
    return uses


def _outer(x: HostArray, cotangent: HostArray) -> HostArray:
    """Summed over all positions: (features of the cotangent, features of x); empty where the two have other positions."""
    if x.ndim < 2 or x.shape[:-1] != cotangent.shape[:-1]:
        return np.empty((0, 0))
    return cotangent.reshape(-1, cotangent.shape[-1]).T @ x.reshape(-1, x.shape[-1])
