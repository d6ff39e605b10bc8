"""Nodes as a tree of layers, and the lines that are shown of it: what is wrong unfolded, all else folded."""

__all__ = ["Layer", "Line", "forest", "named_row", "tree_lines"]

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import isnan, nan

from gradproof.porting.record import Compared, Mark, Row
from gradproof.porting.report.words import HERE, times, worst_mark

_KEY = re.compile(r"(?P<name>.*?)(?P<input> input)?(?P<call>#\d+)?", re.DOTALL)
_WHOLE = "(whole)"

_COUNTED = {
    Mark.WRONG: "wrong", Mark.UNDECIDED: "undecided", Mark.CARRIED: "carried", Mark.AGREES: "agree",
    Mark.UNMATCHED: "unmatched", Mark.UNSEEN: "not seen",
}  # fmt: skip

Path = tuple[str, ...]


@dataclass
class Layer:
    """All that was seen of one module (of one tap) in one call, and the layers inside it."""

    label: str
    """Path below the layer that it is in."""
    other: str
    """The same of the port's."""
    rows: list[Row]
    inside: list["Layer"] = field(default_factory=list)

    @property
    def all(self) -> Iterator["Layer"]:
        """It and those inside, the outer ones first."""
        yield self
        for layer in self.inside:
            yield from layer.all

    @property
    def marks(self) -> tuple[Mark, Mark]:
        """Worst of its own rows, forward and backward."""
        return _marks(self.rows)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a tree."""

    depth: int
    label: str
    other: str
    forward: Mark
    backward: Mark
    kind: str = ""
    other_kind: str = ""
    shape: tuple[int, ...] | None = None
    other_shape: tuple[int, ...] | None = None
    note: str = ""
    excess: tuple[float, float] = (0.0, 0.0)
    """Worst multiple of the bar, forward and backward; NaN if not known."""
    folded: tuple["Line", ...] = ()
    """What stands behind this line."""


def named_row(row: Row) -> str:
    """By what a record names it: the reference's key, else the port's."""
    return row.key or row.other


def tree_lines(
    compared: Compared, most: int = 10**9, neighbours: bool = True, fold: bool = True
) -> list[Line]:
    """The lines of the tree. The first node that is wrong and `most` others are unfolded, with a neighbour on each side."""
    wrong = [named_row(row) for row in compared.rows if _is_wrong(_marks([row]))]
    kept = {compared.first_forward, compared.first_backward, *wrong[:most]} - {None}
    return list(
        _Folding(compared, frozenset(filter(None, kept)), neighbours, fold).lines(forest(compared.rows), 0)
    )


# The tree


def forest(rows: Sequence[Row]) -> list[Layer]:
    """The layers that are in no other, in the order of the computation."""
    found: dict[Path, list[Row]] = {}
    others: dict[Path, Path] = {}
    twins: dict[Path, Path] = {}
    for row in rows:
        if row.key and row.other:
            twins.setdefault(_path(row.other), _path(row.key))
    for row in rows:
        path = _path(row.key) if row.key else _as_the_references(_path(row.other), twins)
        found.setdefault(path, []).append(row)
        if row.other:
            others.setdefault(path, _path(row.other))
    return _planted(found, others)


def _planted(found: Mapping[Path, list[Row]], others: Mapping[Path, Path]) -> list[Layer]:
    """Each layer inside the nearest that has rows; siblings in the order in which something in them came first."""
    top: list[Layer] = []
    layers: dict[Path, Layer] = {}
    for path in sorted(found, key=len):
        above = next((path[:n] for n in range(len(path) - 1, -1, -1) if path[:n] in layers), None)
        here, there = others.get(path), others.get(above) if above is not None else None
        layers[path] = Layer(
            _below(path, above) if any(row.key for row in found[path]) else "",
            "" if here is None else _below(here, there),
            found[path],
        )
        (top if above is None else layers[above].inside).append(layers[path])
    order = {id(row): at for at, rows in enumerate(found.values()) for row in rows}
    _sort(top, order)
    return top


def _sort(layers: list[Layer], order: Mapping[int, int]) -> int:
    """Sort, at every depth; where the first of them came."""
    first = {id(layer): min(order[id(layer.rows[0])], _sort(layer.inside, order)) for layer in layers}
    layers.sort(key=lambda layer: first[id(layer)])
    return min(first.values(), default=len(order))


def _path(key: str) -> Path:
    """Of a module, or tap, and the call: "h[0].ln input#2" → ("h", "[0]", "ln#2")."""
    match = _KEY.fullmatch(key)
    name, call = (match["name"], match["call"] or "") if match else (key, "")
    parts = [part for part in re.split(r"\.|(?=\[)", name) if part]
    if parts == [_WHOLE] or not parts:
        return (call,) if call else ()
    return (*parts[:-1], parts[-1] + call)


def _below(path: Path, above: Path | None) -> str:
    """`path` as it is written below `above`; all of it if it is not below."""
    start = len(above) if above is not None and path[: len(above)] == above else 0
    return "".join(f".{part}" if part[:1] != "[" else part for part in path[start:]).lstrip(".") or _WHOLE


def _as_the_references(path: Path, twins: Mapping[Path, Path]) -> Path:
    """Where in the reference's tree something stands that only the port has; marked, so that it meets no namesake."""
    for n in range(len(path) - 1, -1, -1):
        if path[:n] in twins:
            return (*twins[path[:n]], *(f"\0{part}" for part in path[n:]))
    return tuple(f"\0{part}" for part in path or ("",))


# The lines


def _marks(rows: Sequence[Row]) -> tuple[Mark, Mark]:
    return worst_mark(row.forward for row in rows), worst_mark(row.backward for row in rows)


def _is_wrong(marks: tuple[Mark, Mark]) -> bool:
    return worst_mark(marks) in (Mark.WRONG, Mark.UNDECIDED)


@dataclass(frozen=True)
class _Folding:
    compared: Compared
    kept: frozenset[str]
    neighbours: bool
    fold: bool

    def lines(self, layers: Sequence[Layer], depth: int) -> Iterator[Line]:
        """Siblings: those with something wrong unfolded, runs of others folded."""
        opened = [not self.fold or self._holds(layer) for layer in layers]
        alone = [self.neighbours and any(opened[max(at - 1, 0) : at + 2]) for at in range(len(layers))]
        runs = groupby(
            range(len(layers)), lambda at: (at if opened[at] or alone[at] else -1, _state(layers[at]))
        )
        for _, run in runs:
            places = list(run)
            if opened[places[0]]:
                yield from self._opened(layers[places[0]], depth)
            else:
                yield self._folded([layers[at] for at in places], depth)

    def _opened(self, layer: Layer, depth: int) -> Iterator[Line]:
        own, inputs = _own_and_inputs(layer.rows)
        line = self._line(own, layer.label, layer.other, depth)
        yield line
        for row in inputs:
            yield replace(self._line([row], "input", "input", depth + 1), kind="", other_kind="")
        yield from self.lines(layer.inside, depth + 1)

    def _line(self, rows: Sequence[Row], label: str, other: str, depth: int) -> Line:
        row = next((row for row in rows if row.role != "input"), rows[0])
        forward, backward = _marks(rows)
        return Line(
            depth, label, other, forward, backward, row.kind, row.other_kind,
            row.shape if row.key else None, row.other_shape if row.other else None,
            self._note(rows), _excesses(rows),
        )  # fmt: skip

    def _note(self, rows: Sequence[Row]) -> str:
        """What is said beside a line."""
        names = {named_row(row) for row in rows}
        here, back = self.compared.first_forward in names, self.compared.first_backward in names
        if here or back:
            return HERE + (", both ways" if here and back else " (backward)" if back else "")
        return "" if worst_mark(_marks(rows)) is not Mark.UNMATCHED else "no counterpart"

    def _folded(self, layers: Sequence[Layer], depth: int) -> Line:
        every = [layer for outer in layers for layer in outer.all]
        if len(every) == 1:
            own, inputs = _own_and_inputs(every[0].rows)
            return self._line([*own, *inputs], every[0].label, every[0].other, depth)
        rows = [row for layer in every for row in layer.rows]
        forward, backward = _marks(rows)
        whole = _Folding(self.compared, frozenset(), False, False)
        return Line(
            depth, _span([layer.label for layer in layers]), _span([layer.other for layer in layers]), forward, backward,
            note=_counted(every), excess=_excesses(rows), folded=tuple(whole.lines(layers, depth)),
        )  # fmt: skip

    def _holds(self, layer: Layer) -> bool:
        return any(named_row(row) in self.kept for inner in layer.all for row in inner.rows)


def _own_and_inputs(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """(what is one line, inputs that are wrong by themselves while the module has an output: plain code before it)."""
    outputs = [row for row in rows if row.role != "input"]
    if not outputs:
        return list(rows), []
    apart = [row for row in rows if row.role == "input" and _is_wrong(_marks([row]))]
    return [row for row in rows if row not in apart], apart


def _state(layer: Layer) -> str:
    marks = {worst_mark(inner.marks) for inner in layer.all}
    if marks & {Mark.WRONG, Mark.UNDECIDED}:
        return "wrong"
    return "carried" if Mark.CARRIED in marks else "agrees"


def _counted(layers: Sequence[Layer]) -> str:
    """ "12 layers agree", "3 wrong, 9 carried"."""
    counts = Counter(_COUNTED[worst_mark(layer.marks)] for layer in layers)
    parts = [f"{counts[word]} {word}" for word in _COUNTED.values() if counts[word]]
    return parts[0].replace(" ", " layers ", 1) if len(parts) == 1 else ", ".join(parts)


def _span(labels: Sequence[str]) -> str:
    named = [label for label in labels if label]
    return " … ".join(dict.fromkeys([named[0], named[-1]])) if named else ""


def _excesses(rows: Sequence[Row]) -> tuple[float, float]:
    forward = [times(row.gap, row.bar) for row in rows]
    backward = [times(row.backward_gap, row.backward_bar) for row in rows]
    return _worst(forward), _worst(backward)


def _worst(factors: Sequence[float]) -> float:
    return max((factor for factor in factors if not isnan(factor)), default=nan)
