"""Which node of one port is which of another: by role, shape, name and value, in the order of the computation."""

__all__ = ["Pair", "align", "call_of", "slot_of"]

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.alignment.likeness import EQUAL, best_view, likeness_of, long_axes
from gradproof.porting.port import Run, Seen
from gradproof.porting.views import View

ALIKE = 0.5
"""Correlation above which values are taken for the same, one of them wrong. Of unrelated values of 64 numbers 1 in 10⁵ reaches it."""

SAME_VALUE, LIKE_VALUE, SAME_NAME, SAME_KIND, SAME_SHAPE = 4.0, 2.0, 1.0, 0.6, 0.3
"""What speaks for a pair. A value outweighs all the rest; without it, name, kind and shape have to make up LEAST."""

LEAST = 0.75
"""Of nodes whose values have nothing in common: the kind and the shape, or most of the name."""

NAMESAKES = 0.8
"""Likeness of names from which on two nodes are each other's even if one of them equals a third: an activation that is missing
makes what it is handed to equal to what it was computed from."""

_KINDS = {
    "dense": "linear", "embed": "embedding", "multiheaddotproductattention": "multiheadattention",
    "nondynamicallyquantizablelinear": "linear", "optimizedlstmcell": "lstm", "lstmcell": "lstm", "grucell": "gru",
}  # fmt: skip
"""Names of one thing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A node of the reference, the same node of the port, and how the reference's value is read to be the port's."""

    reference: str
    """Key."""
    port: str
    """Key."""
    view: View


def align(reference: Run, port: Run) -> tuple[Pair, ...]:
    """Pairs of nodes, in the order of the reference.

    What both return is each other's, by position. Other values are aligned as texts are, for the largest sum of what
    speaks for the pairs (Needleman and Wunsch, 1970); those that were left over and have one value are paired in any
    order. Inputs follow their modules.
    """
    ours, theirs = reference.nodes, port.nodes
    likely, taken = _likely(ours, theirs)
    weights = np.zeros((len(ours), len(theirs)))
    for (i, j), (likeness, _) in likely.items():
        weights[i, j] = _weight(ours[i], theirs[j], likeness)
    weights[weights < LEAST] = 0.0
    chosen = _returned(ours, theirs, likely)
    for i, j in chosen:
        weights[i, :], weights[:, j] = 0.0, 0.0
    chosen += _in_order(weights)
    chosen += _left_over(weights, chosen)
    views = {cell: view for cell, (_, view) in likely.items()}
    usual = _usual_axes(views[cell] for cell in chosen)
    views |= _of_inputs(ours, theirs, chosen, (usual, taken))
    kept = {*chosen, *(cell for cell in views if ours[cell[0]].role == "input")}
    return tuple(Pair(ours[i].key, theirs[j].key, views[i, j]) for i, j in sorted(kept))


Cells = dict[tuple[int, int], View]

Taken = tuple[set[tuple[int, int]], set[int], set[int]]
"""Pairs of equal values, whatever they are; those of the reference, and of the port, that are in one."""


def _returned(
    ours: Sequence[Seen], theirs: Sequence[Seen], likely: Mapping[tuple[int, int], tuple[float, View]]
) -> list[tuple[int, int]]:
    """What the whole returns, by value, else by position, where it is called once: a cell may be called for every step."""
    sides = [
        {slot_of(node): i for i, node in enumerate(nodes) if not node.name and node.role == "output"}
        for nodes in (ours, theirs)
        if not _repeated(nodes)
    ]
    if len(sides) < 2:
        return []
    chosen = []
    for slot, i in sides[0].items():
        same = [j for j in sides[1].values() if (i, j) in likely and likely[i, j][0] > 1 - EQUAL]
        j = sides[1].get(slot) if not same or sides[1].get(slot) in same else same[0]
        if j is not None and (i, j) in likely:
            chosen.append((i, j))
    twice = Counter(j for _, j in chosen)
    return [(i, j) for i, j in chosen if twice[j] == 1]


def _repeated(nodes: Sequence[Seen]) -> bool:
    """Whether the whole is called more than once: a cell, in a loop."""
    return any(not node.name and "#" in node.key for node in nodes)


def _of_inputs(
    ours: Sequence[Seen],
    theirs: Sequence[Seen],
    chosen: Sequence[tuple[int, int]],
    known: tuple[Mapping[int, tuple[int, ...]], Taken],
) -> Cells:
    """Inputs of the calls of modules whose outputs are pairs, by position, where both take as many.

    What goes back through the input of a fused projection is the sum of what goes back through those of separate ones:
    inputs of modules that are not each other's are none either. Nor are those of a dropout that is off and of the layer before
    it, whose outputs are one value, or of an attention and its output projection.
    """
    mine, other = _inputs_of_calls(ours), _inputs_of_calls(theirs)
    usual, (equal, rows, columns) = known
    views: Cells = {}
    for i, j in chosen:
        given = mine.get(call_of(ours[i]), []), other.get(call_of(theirs[j]), [])
        if "tap" in (ours[i].role, theirs[j].role) or len(given[0]) != len(given[1]):
            continue
        alien = _alien(ours[i], theirs[j])
        if alien and _passes_on(ours, i, given[0]) != _passes_on(theirs, j, given[1]):
            continue
        sure = alien and best_view(ours[i].value, theirs[j].value)[0] > ALIKE
        for k, m in zip(*given, strict=True):
            likeness, view = best_view(ours[k].value, theirs[m].value)
            exact = (k, m) in equal
            free = not alien or not (k in rows or m in columns)
            if view is None or not (exact or free) or (sure and likeness <= ALIKE):
                continue
            found = likeness, view
            views[k, m] = view if exact else _as_usual(ours[k].value, theirs[m].value, usual, found)[1]
    return views


def _alien(ours: Seen, theirs: Seen) -> bool:
    """Whether two modules may be of two sorts, of which one does no more than the last part of the other: neither the kind nor
    the name is the same.
    """
    same = bool(ours.kind) and _kind(ours.kind) == _kind(theirs.kind)
    return not same and _alike(ours.name, theirs.name) < NAMESAKES


def _passes_on(nodes: Sequence[Seen], output: int, inputs: Sequence[int]) -> bool:
    """Whether a module hands on what it is given: a dropout that is off."""
    value = nodes[output].value
    return any(np.array_equal(nodes[at].value, value, equal_nan=True) for at in inputs)


def call_of(node: Seen) -> tuple[str, str]:
    """Module, and which of its calls: of "ln#2" and "ln[1] input#2" the second."""
    return node.name, node.key.rpartition("#")[2] if "#" in node.key.removeprefix(node.name) else "1"


def slot_of(node: Seen) -> int:
    """Position among what a module takes or returns."""
    found = re.match(r"\[(\d+)\]", node.key.removeprefix(node.name or "(whole)"))
    return int(found[1]) if found else 0


def _inputs_of_calls(nodes: Sequence[Seen]) -> dict[tuple[str, str], list[int]]:
    calls: dict[tuple[str, str], list[int]] = {}
    for i, node in enumerate(nodes):
        if node.role == "input":
            calls.setdefault(call_of(node), []).append(i)
    return calls


def _likely(
    ours: Sequence[Seen], theirs: Sequence[Seen]
) -> tuple[dict[tuple[int, int], tuple[float, View]], Taken]:
    """Pairs of outputs and taps that may be, each with how alike its values are and how one is read as the other."""
    every = {
        (i, j): (likeness, view)
        for i, j in _of_one_size(ours, theirs)
        for likeness, view in [best_view(ours[i].value, theirs[j].value)]
        if view is not None
    }
    equal = {cell for cell, (likeness, _) in every.items() if likeness > 1 - EQUAL}
    rows, columns = {i for i, _ in equal}, {j for _, j in equal}
    usual = _usual_axes(every[cell][1] for cell in equal)
    one_sort = _repeated(ours) == _repeated(theirs)
    likely = {}
    for (i, j), found in every.items():
        namesakes = _alike(ours[i].name, theirs[j].name) >= NAMESAKES and (bool(ours[i].name) or one_sort)
        if "input" in (ours[i].role, theirs[j].role) or not _of_one_slot(ours[i], theirs[j], namesakes):
            continue
        if (i, j) in equal:
            likely[i, j] = found
        elif namesakes or not (i in rows or j in columns):
            likely[i, j] = _as_usual(ours[i].value, theirs[j].value, usual, found)
    return likely, (equal, rows, columns)


def _of_one_slot(ours: Seen, theirs: Seen, namesakes: bool) -> bool:
    """The last state that a recurrence returns beside its outputs is no output of its cell, though it is equal to one."""
    return slot_of(ours) == slot_of(theirs) and (namesakes or slot_of(ours) == 0)


def _usual_axes(exact: Iterable[View]) -> dict[int, tuple[int, ...]]:
    """Order of axes of most nodes whose values are equal, by number of axes: NCHW against NHWC."""
    counted: dict[int, Counter[tuple[int, ...]]] = {}
    for view in exact:
        if len(view.given) == len(view.due):
            counted.setdefault(len(view.axes), Counter())[view.axes] += 1
    return {length: axes.most_common(1)[0][0] for length, axes in counted.items()}


def _as_usual(
    given: HostArray, due: HostArray, usual: Mapping[int, tuple[int, ...]], found: tuple[float, View]
) -> tuple[float, View]:
    """Values that differ are read as those that do not."""
    axes = usual.get(given.ndim)
    if axes is None or given.ndim != due.ndim or tuple(given.shape[axis] for axis in axes) != due.shape:
        return found
    view = View(given.shape, axes, due.shape)
    return max(likeness_of(given, due, view), 0.0), view


def _of_one_size(ours: Sequence[Seen], theirs: Sequence[Seen]) -> Iterator[tuple[int, int]]:
    for i, mine in enumerate(ours):
        for j, other in enumerate(theirs):
            if mine.value.size == other.value.size:
                yield i, j


def _weight(ours: Seen, theirs: Seen, likeness: float) -> float:
    value = SAME_VALUE if likeness > 1 - EQUAL else LIKE_VALUE * likeness if likeness > ALIKE else 0.0
    name = SAME_NAME * _alike(ours.name, theirs.name)
    kind = SAME_KIND * (bool(ours.kind) and _kind(ours.kind) == _kind(theirs.kind))
    shape = SAME_SHAPE * (sorted(long_axes(ours.value)) == sorted(long_axes(theirs.value)))
    return value + name + kind + shape


@lru_cache(maxsize=4096)
def _kind(name: str) -> str:
    plain = re.sub(r"(\dd)?$", "", name.lower())
    return _KINDS.get(plain, plain)


@lru_cache(maxsize=2**16)
def _alike(ours: str, theirs: str) -> float:
    return SequenceMatcher(None, ours.lower(), theirs.lower(), autojunk=False).ratio()


def _in_order(weights: HostArray) -> list[tuple[int, int]]:
    """Pairs that grow in both, of the largest sum of weights."""
    rows, columns = weights.shape
    best = np.zeros((rows + 1, columns + 1))
    for i in range(rows - 1, -1, -1):
        taken = np.where(weights[i] > 0, weights[i] + best[i + 1, 1:], 0.0)
        row = np.maximum(best[i + 1, :-1], taken)
        best[i, :-1] = np.maximum.accumulate(row[::-1])[::-1]
    pairs, i, j = [], 0, 0
    while i < rows and j < columns:
        if weights[i, j] > 0 and best[i, j] <= weights[i, j] + best[i + 1, j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1, j] >= best[i, j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _left_over(weights: HostArray, chosen: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs of one value and one kind among what has no partner: queries, keys and values in another order.

    The last state of a recurrence equals the last of its outputs, and is another node: what goes back through it differs.
    """
    rows = set(range(weights.shape[0])) - {i for i, _ in chosen}
    columns = set(range(weights.shape[1])) - {j for _, j in chosen}
    pairs = []
    for i in sorted(rows):
        same = [j for j in sorted(columns) if weights[i, j] >= SAME_VALUE + LEAST]
        if same:
            j = max(same, key=lambda j: float(weights[i, j]))
            pairs.append((i, j))
            columns.remove(j)
    return pairs
