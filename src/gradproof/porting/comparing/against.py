"""A port beside the reference: what corresponds to what, and how far apart it is."""

__all__ = ["Against", "OutputPair", "output_pairs"]

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from gradproof.arrays import HostArray, in_double
from gradproof.porting.alignment.align import Pair, align
from gradproof.porting.alignment.likeness import best_view
from gradproof.porting.comparing.bars import Gap, Rounded, gap
from gradproof.porting.comparing.sides import Side
from gradproof.porting.layouts.layout import Layout, Move
from gradproof.porting.port import Forced, NotRunnableError, Run, Seen
from gradproof.porting.views import View
from gradproof.verdict import Verdict


@dataclass(frozen=True, slots=True)
class OutputPair:
    """An output of the reference, the same of the port; no view where the shapes cannot be read as each other."""

    reference: str
    port: str
    view: View | None


def output_pairs(reference: Run, port: Run) -> tuple[OutputPair, ...]:
    """Outputs of one name where both have the same names; else in order, as far as both have some."""
    named = set(reference.outputs) == set(port.outputs)
    others = [(path, port.outputs[path]) for path in reference.outputs] if named else port.outputs.items()
    both = zip(reference.outputs.items(), others, strict=False)
    return tuple(OutputPair(ours, theirs, best_view(x, y)[1]) for (ours, x), (theirs, y) in both)


@dataclass
class Against:
    """The reference and a port, both ready to run on the same numbers."""

    reference: Side
    port: Side
    layout: Layout
    outputs: tuple[OutputPair, ...]
    """Of the first runs."""
    transferred: bool
    """Whether the port runs on the reference's parameters, for its own were others."""

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Nodes that correspond, in the reference's order."""
        return align(self.reference.double, self.port.double)

    @cached_property
    def local(self) -> Run | None:
        """The port with every node forced to the reference's: each stretch by itself. None if it was recorded."""
        try:
            return self.port.run(forced=self.forced)
        except NotRunnableError:
            return None

    @cached_property
    def forced(self) -> dict[str, Forced]:
        """What every node of the port is forced to, by its key."""
        nodes = self.reference.double.by_key
        return {pair.port: _forced(pair, nodes[pair.reference]) for pair in self.pairs}

    @cached_property
    def forward(self) -> dict[Pair, Gap]:
        """Values of nodes, as the ports ran by themselves; in the reference's order of axes."""
        return {pair: self.value_gap(pair, self.port.double) for pair in self.pairs}

    @cached_property
    def backward(self) -> dict[Pair, Gap]:
        """Cotangents of nodes that have one in both."""
        return {
            pair: gap(
                self.reference.cotangents[pair.reference],
                theirs.like(pair.view.back(theirs.value)),
            )
            for pair in self.pairs
            if pair.reference in self.reference.cotangents
            and (theirs := self.port.cotangents.get(pair.port)) is not None
        }

    def value_gap(self, pair: Pair, run: Run) -> Gap:
        """A node's value in a run of the port, against the reference's."""
        ours = self.reference.values[pair.reference]
        found = run.by_key[pair.port].value
        return gap(ours, self.port.values[pair.port].like(pair.view.back(in_double(found))))

    def output_gap(self, pair: OutputPair) -> Gap | None:
        """An output; None where the shapes differ."""
        if pair.view is None:
            return None
        theirs = self.port.outputs[pair.port]
        return gap(self.reference.outputs[pair.reference], theirs.like(pair.view.back(theirs.value)))

    @cached_property
    def gradients(self) -> dict[str, Rounded]:
        """The reference's, by its path."""
        given = self.reference.double.gradients or {}
        return {path: self.reference.gradient(path) for path in given}

    @cached_property
    def pulled(self) -> dict[str, Rounded]:
        """The port's gradients, on the reference's leaves."""
        memory: dict[int, dict[str, HostArray]] = {}

        def pick(run: Run, path: str) -> HostArray | None:
            return memory.setdefault(id(run), self.pull(run)).get(path)

        return {path: self.port.rounded(partial(pick, path=path)) for path in self.pull(self.port.double)}

    def pull(self, run: Run) -> dict[str, HostArray]:
        """Gradients of a run of the port, on those leaves of the reference that the layout uses and that are trained."""
        if run.gradients is None:
            return {}
        pulled = self.layout.pull({path: in_double(x) for path, x in run.gradients.items()})
        return {path: x for path, x in pulled.items() if path in self.reference.port.parameters}

    @cached_property
    def gradient_gaps(self) -> dict[str, Gap]:
        """By the reference's path."""
        both = self.gradients.keys() & self.pulled.keys()
        return {path: gap(self.gradients[path], self.pulled[path]) for path in self.gradients if path in both}

    def backward_alone(self, wrong: Collection[Pair]) -> tuple[Run, Run] | None:
        """Both ports, every node forced, where those that are `wrong` forward hand nothing back.

        What still differs is done wrong in the backward pass itself. None if one of the ports was recorded.
        """
        if self.local is None:
            return None
        if not wrong:
            return self.reference.double, self.local
        nodes = self.reference.double.by_key
        silent = {pair.port for pair in wrong}
        theirs = {key: _silenced(one) if key in silent else one for key, one in self.forced.items()}
        ours = {
            pair.reference: Forced(nodes[pair.reference].value, nodes[pair.reference].cotangent)
            for pair in self.pairs
        }
        for pair in wrong:
            ours[pair.reference] = _silenced(ours[pair.reference])
        try:
            return self.reference.run(forced=ours), self.port.run(forced=theirs)
        except NotRunnableError:
            return None

    @property
    def differs_backward(self) -> bool:
        """Whether any gradient does, of a node or a parameter."""
        found = (*self.backward.values(), *self.gradient_gaps.values())
        return any(one.verdict is Verdict.DISAGREES for one in found)

    def cotangent_gaps(self, ours: Run, theirs: Run) -> dict[Pair, Gap]:
        """Cotangents in two runs; zero where a run has none."""
        return {
            pair: gap(
                self.reference.cotangents[pair.reference].like(_cotangent(ours, pair.reference)),
                self.port.cotangents[pair.port].like(pair.view.back(_cotangent(theirs, pair.port))),
            )
            for pair in self.backward
        }

    def gradient_gaps_of(self, ours: Run, theirs: Run) -> dict[str, Gap]:
        """Parameters' gradients in two runs, by the reference's path."""
        pulled, given = self.pull(theirs), ours.gradients or {}
        return {
            path: gap(
                self.gradients[path].like(given[path]),
                self.pulled[path].like(pulled[path]),
            )
            for path in self.gradient_gaps
            if path in pulled and path in given
        }

    def loss_gap(self) -> Gap | None:
        """Of the losses, where both have one."""
        ours, theirs = _loss(self.reference), _loss(self.port)
        return None if ours is None or theirs is None else gap(ours, theirs)

    def buffer_gap(self, move: Move, expected: HostArray, found: HostArray | None = None) -> Gap:
        """What is not trained, after the run (or as it was `found` after another), against the reference's in the port's layout."""
        sources = {piece.source for piece in move.pieces} & set(self.reference.double.buffers)
        errors = tuple(error for path in sorted(sources) for error in self.reference.buffer(path).errors)
        theirs = self.port.buffer(move.target)
        return gap(Rounded(expected, errors), theirs if found is None else theirs.like(found))


def _loss(side: Side) -> Rounded | None:
    return None if side.double.loss is None else side.rounded(_loss_of)


def _loss_of(run: Run) -> HostArray | None:
    return None if run.loss is None else np.asarray(run.loss)


def _forced(pair: Pair, node: Seen) -> Forced:
    cotangent = None if node.cotangent is None else pair.view.of(node.cotangent)
    return Forced(pair.view.of(node.value), cotangent)


def _silenced(forced: Forced) -> Forced:
    return Forced(forced.value, None)


def _cotangent(run: Run, key: str) -> HostArray:
    node = run.by_key[key]
    return in_double(np.zeros(node.value.shape) if node.cotangent is None else node.cotangent)
