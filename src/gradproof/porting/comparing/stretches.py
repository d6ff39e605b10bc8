"""From a pair that is wrong by itself to the Stretch that a diagnosis works on."""

__all__ = ["gradient_stretch", "stretch_of"]

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.porting.comparing.against import Against
from gradproof.porting.comparing.align import Pair
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
        other_inputs=_only_the_ports(against, pair, run),
        other_parameters=_under(port.all_leaves, theirs),
        again=_again(against, pair) if against.local else None,
    )
    return _with_cotangents(stretch, against, pair, backward) if backward else stretch


def _bar(*bars: float) -> float:
    return max(bar for bar in bars if bar == bar)  # noqa: PLR0124 -- NaN is the one that differs from itself


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


def _only_the_ports(against: Against, pair: Pair, run: Run) -> dict[str, HostArray]:
    """Nodes of the port without partner, between the pair before and this one, the nearest first."""
    partners = {other.port for other in against.pairs}
    between: dict[str, HostArray] = {}
    for node in run.nodes:
        if node.key == pair.port:
            break
        if node.key not in partners:
            between[node.key] = in_double(node.value)
    return dict(list(reversed(between.items()))[:MOST_INPUTS])


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
        cotangent_bar=against.gradient_gaps[path].bar,
    )  # fmt: skip
