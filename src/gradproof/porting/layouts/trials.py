"""Layouts tried out: the reference is filled with random values, and each module of the port judged on the reference's inputs."""

__all__ = ["infer_by_behaviour"]

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.alignment.align import Pair, align
from gradproof.porting.layouts.fillings import AGREES, NEARLY, consistent, filled, nearest, unaliased, wide
from gradproof.porting.layouts.groups import Group, components, module_groups, proposals
from gradproof.porting.layouts.guesses import guesses
from gradproof.porting.layouts.layout import Layout, Move
from gradproof.porting.layouts.leftovers import with_leftovers
from gradproof.porting.layouts.steady import steady_run
from gradproof.porting.layouts.tried import FURTHER, Tried
from gradproof.porting.port import Call, Forced, NotRunnableError, Port, Run

MOST_RUNS = 200
"""Of the port. Every run tries the next proposal of all modules at once."""

AGAIN = 2
"""Rounds, while some leaf is open: with the first filling all units before it may happen to be off, and modules of other
names may have been matched wrongly; in the second, what failed is matched by its names, all at once."""

MOST_LEAVES = 64
"""Leaves without a module that are moved one by one, to see what they act on."""


def infer_by_behaviour(
    reference: Port,
    port: Port,
    inputs_ref: Sequence[Any],
    inputs_port: Sequence[Any],
    *,
    pairs: Sequence[Pair] | None = None,
    known: Mapping[str, Move] | None = None,
    seed: int = 0,
) -> Layout:
    """The layout under which the port computes what the reference does, module by module, whatever values they have.

    `known` are moves that are not in question. A leaf for which nothing agrees (the port has a mistake there) gets
    what is usual, or what is clearly nearest, and `confirmed` says "shape".
    """
    found = dict(known or {})
    layout = Layout(())
    for again in range(AGAIN):
        search = _Search(reference, port, tuple(inputs_ref), tuple(inputs_port), found, seed + again)
        search.align(pairs)
        search.try_out()
        new = search.layout()
        layout = new if not again or _rank(new) > _rank(layout) else layout
        clear = {move.target: move for move in layout.moves if _is_certain(move)}
        if len(clear) == len(search.own):
            break
        found = {**clear, **(known or {})}
        pairs = search.trusted()
    return layout if known else with_leftovers(layout, search.targets)


def _is_certain(move: Move) -> bool:
    return move.confirmed != "shape" and not move.alternatives


def _rank(layout: Layout) -> tuple[int, int]:
    """First what is certain, then what has any origin at all."""
    return sum(_is_certain(move) for move in layout.moves), len(layout.moves)


def _first_run(reference: Port, inputs: tuple[Any, ...], seed: int) -> tuple[dict[str, HostArray], Run]:
    """The reference with distinct random values, so that nothing hides; one that was recorded, with those that it had."""
    own = {**reference.parameters, **reference.buffers}
    leaves = filled(own, reference.buffers, seed)
    try:
        return leaves, steady_run(reference, Call(inputs, parameters=leaves, forward_only=True))
    except NotRunnableError:
        run = reference.run(Call(inputs, forward_only=True))
        return {path: wide(leaf) for path, leaf in own.items()}, run


class _Search:
    """Both ports, the reference's random values, and what was found."""

    def __init__(
        self,
        reference: Port,
        port: Port,
        inputs_ref: tuple[Any, ...],
        inputs_port: tuple[Any, ...],
        known: dict[str, Move],
        seed: int,
    ) -> None:
        self.reference, self.port, self.inputs = reference, port, inputs_port
        self.leaves, self.run = _first_run(reference, inputs_ref, seed)
        self.shapes = {path: np.shape(leaf) for path, leaf in self.leaves.items()}
        self.own = {path: wide(leaf) for path, leaf in {**port.parameters, **port.buffers}.items()}
        self.known = known
        used = {piece.source for move in known.values() for piece in move.pieces}
        self.sources = {path: shape for path, shape in self.shapes.items() if path not in used}
        self.targets = {path: x.shape for path, x in self.own.items() if path not in known}
        self.pairs: tuple[Pair, ...] = ()
        self.tried: list[Tried] = []
        self.runs = 0

    def align(self, pairs: Sequence[Pair] | None) -> None:
        """Match modules: first as they are, then with the parameters that are most plausible."""
        first = self._ran({}, {})
        self._regroup(first, tuple(pairs) if pairs is not None else align(self.run, first))
        if pairs is None:
            second = self._ran(self._moves(), {})
            self._regroup(second, align(self.run, second))
        self._split()

    def try_out(self) -> None:
        """Try proposals until every group has one, or none is left."""
        while self.runs < MOST_RUNS and any(not tried.done for tried in self.tried):
            going = [tried for tried in self.tried if not tried.done]
            errors = self._errors(self._ran(self._moves(), self._forced()))
            for tried in going:
                tried.errors.append(max((errors.get(key, inf) for key in tried.group.judged), default=inf))

    def trusted(self) -> tuple[Pair, ...]:
        """Pairs that agreed in the end, and the whole: what failed may have been the wrong pair."""
        errors = self._errors(self._ran(self._moves(), self._forced()))
        whole = self.run.by_key
        return tuple(
            pair
            for pair in self.pairs
            if errors.get(pair.reference, inf) <= NEARLY or not whole[pair.reference].name
        )

    def layout(self) -> Layout:
        """In the order of the port."""
        moves = {**self.known}
        for tried in self.tried:
            moves |= self._told(tried)
        used = {piece.source for move in moves.values() for piece in move.pieces}
        return Layout(
            tuple(moves[path] for path in self.own if path in moves),
            tuple(path for path in self.own if path not in moves),
            tuple(path for path in self.shapes if path not in used),
            self.shapes,
        )

    def _told(self, tried: Tried) -> dict[str, Move]:
        best, agreeing = tried.ways[tried.best], tried.agreeing
        others = [tried.ways[at] for at in agreeing if at <= agreeing[0] + FURTHER]
        told = {}
        for at, move in enumerate(best):
            ways = [way[at] for way in others if not self._same(way[at], move)]
            ambiguous = len({repr(way) for way in ways})
            told[move.target] = replace(
                move, confirmed="behaviour" if agreeing else "shape", alternatives=ambiguous
            )
        return told

    def _same(self, one: Move, other: Move) -> bool:
        return one == other or np.array_equal(one.of(self.leaves), other.of(self.leaves))

    def _moves(self) -> dict[str, Move]:
        return {move.target: move for tried in self.tried for move in tried.current}

    def _ran(self, moves: Mapping[str, Move], forced: Mapping[str, Forced]) -> Run:
        self.runs += 1
        made = {path: move.of(self.leaves) for path, move in {**self.known, **moves}.items()}
        leaves = {path: made.get(path, leaf) for path, leaf in self.own.items()}
        return steady_run(self.port, Call(self.inputs, parameters=leaves, forward_only=True, forced=forced))

    def _regroup(self, run: Run, pairs: tuple[Pair, ...]) -> None:
        self.pairs = consistent(self.run, run, pairs)
        groups, rest = module_groups(
            self.run, run, self.pairs, self.sources, self.targets, self.reference.shared
        )
        self.tried = [Tried(group, self._ways(group)) for group in (*groups, rest) if group.targets]
        self.rest = self.tried[-1] if rest.targets else None

    def _ways(self, group: Group) -> list[tuple[Move, ...]]:
        ways = proposals(guesses(group.sources, group.targets), group.sources)
        return [tuple(unaliased(move, group.aliases) for move in way) for way in ways]

    def _split(self) -> None:
        """What has no module: leaves that act on common nodes are tried together, by themselves."""
        if self.rest is None or len(self.rest.group.targets) > MOST_LEAVES:
            return
        rest = self.rest
        forced, moves = self._forced(), self._moves()
        base = self._ran(moves, forced)
        acts = {target: self._moved_by(target, base, moves, forced) for target in rest.group.targets}
        options = guesses(rest.group.sources, rest.group.targets)
        self.tried.remove(rest)
        for targets, nodes in components(acts):
            ways = proposals({target: options[target] for target in targets}, {})
            group = Group(rest.group.sources, {t: rest.group.targets[t] for t in targets}, nodes)
            self.tried.append(Tried(group, ways))

    def _moved_by(
        self, target: str, base: Run, moves: Mapping[str, Move], forced: Mapping[str, Forced]
    ) -> frozenset[str]:
        rng = np.random.default_rng(1)
        shape = self.own[target].shape
        leaf = moves[target].of(self.leaves) if target in moves else self.own[target]
        other = leaf + rng.normal(size=shape) * 0.1
        pretended = {path: move for path, move in moves.items() if path != target}
        kept = self.own[target]
        self.own[target] = other if other.dtype.kind == "f" else kept
        run = self._ran(pretended, forced)
        self.own[target] = kept
        before, after = self._read(base), self._read(run)
        return frozenset(
            key for key, x in after.items() if not np.array_equal(x, before[key], equal_nan=True)
        )

    def _read(self, run: Run) -> dict[str, HostArray]:
        """The port's values by the reference's keys; outputs too."""
        nodes = run.by_key
        seen = {pair.reference: nodes[pair.port].value for pair in self.pairs if pair.port in nodes}
        return seen | {f"\0{at}": x for at, x in enumerate(run.outputs.values())}

    def _forced(self) -> dict[str, Forced]:
        nodes = self.run.by_key
        return {
            pair.port: Forced(pair.view.of(nodes[pair.reference].value))
            for pair in self.pairs
            if nodes[pair.reference].value.dtype.kind == "f"
        }

    def _errors(self, run: Run) -> dict[str, float]:
        """Relative error of every node, on the reference's inputs. Of two ways to read it, the one that agrees (height, width)."""
        nodes, found = self.run.by_key, self._read(run)
        errors: dict[str, float] = {}
        for at, pair in enumerate(self.pairs):
            if pair.reference in found:
                due = nodes[pair.reference].value
                error, view = nearest(due, found[pair.reference], pair.view)
                errors[pair.reference] = error
                if view is not None and error <= AGREES:
                    self.pairs = (*self.pairs[:at], replace(pair, view=view), *self.pairs[at + 1 :])
        for at, x in enumerate(self.run.outputs.values()):
            if (key := f"\0{at}") in found:
                errors[key] = nearest(x, found[key])[0]
        return errors
