"""Whether what a diagnosis says is so: judged by the right gradient, with nothing of the diagnosing code.

What is said is turned into a corrected gradient: by evaluating the printed correction where it is an expression, else by
the code and the number. It holds if that is the right gradient, up to a small share of the mistake.
"""

__all__ = ["Truth"]

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from gradproof.arrays import HostArray, is_array
from gradproof.faults.claims import scene_of
from gradproof.problems import Problem
from gradproof.verdict import Diagnosis, Location

LEFT = 1e-2
"""Share of the mistake that may be left by what is said, whose number is printed to a few digits only."""

SEEN = 1e-12
"""Share of a leaf's largest entry below which an error cannot be seen."""

BEHAVIOUR = ("GP105", "GP112", "GP113", "GP114", "GP115", "GP116", "GP117", "GP118", "GP125", "GP129")
"""Codes that say nothing of the entries' values: right where the fault names them, else not judged."""


class Leaf(NamedTuple):
    """One leaf: what was claimed, what is right, the parameter."""

    claim: HostArray
    right: HostArray
    theta: HostArray
    roundoff: float

    @property
    def wrong(self) -> HostArray:
        """Entries that are off by more than a trace: of the largest error, or of the leaf."""
        off = np.abs(self.claim - self.right)
        return np.asarray(off > max(1e-9 * off.max(), SEEN * np.abs(self.right).max()))

    def same(self, given: HostArray, due: HostArray) -> bool:
        """Whether two arrays are the same but for rounding."""
        return bool(np.allclose(given, due, rtol=max(1e-9, 64 * self.roundoff), atol=0))


@dataclass(frozen=True)
class Truth:
    """The right gradient of a problem, and the wrong one that was claimed."""

    leaves: Mapping[str, Leaf]
    without: Callable[[str], Mapping[str, HostArray]]
    """From the name of a constant to the right gradient with that constant set to zero."""
    names: Mapping[str, Any]
    """Constants by name."""

    @classmethod
    def of(cls, right: Problem, wrong: Problem) -> "Truth | None":
        """None for a claim whose leaves are not those of the parameters."""
        try:
            scenes = scene_of(right), scene_of(wrong)
        except (KeyError, ValueError):  # a leaf is missing
            return None
        if scenes[0] is None or scenes[1] is None:
            return None
        was, now = (scene.moment for scene in scenes if scene)
        if was.paths != now.paths or [g.shape for g in was.gradient] != [g.shape for g in now.gradient]:
            return None
        leaves = {
            path: Leaf(
                np.asarray(c, dtype=float),
                np.asarray(r, dtype=float),
                np.asarray(p, dtype=float),
                was.roundoff,
            )
            for path, c, r, p in zip(was.paths, now.gradient, was.gradient, was.params, strict=True)
        }
        names = _argument_names(right)

        def without(name: str) -> Mapping[str, HostArray]:
            args = tuple(0.0 if known == name else arg for known, arg in zip(names, right.args, strict=True))
            return dict(zip(was.paths, scenes[0].again(args=args) if scenes[0] else [], strict=True))

        return cls(leaves, without, dict(zip(names, right.args, strict=True)))

    def holds(self, diagnosis: Diagnosis, locations: Sequence[Location]) -> bool | None:
        """Whether it is so in all of its leaves; None where that is not judged."""
        if diagnosis.code in BEHAVIOUR or not diagnosis.leaves:
            return None
        said = [self._in_leaf(diagnosis, path, locations) for path in diagnosis.leaves]
        return None if None in said else all(said)

    def _in_leaf(self, d: Diagnosis, path: str, locations: Sequence[Location]) -> bool | None:
        if path not in self.leaves:
            return False
        leaf = self.leaves[path]
        if not np.isfinite(leaf.claim).all():
            return None
        where = next((place for place in locations if place.leaf == path), None)
        allowed = _said_place(d.says, leaf.claim.shape, where)
        if allowed is not None and (leaf.wrong & ~allowed).any():
            return False
        printed = self._evaluated(d.correction, leaf)
        if printed is not None:
            return self._right(printed, leaf)
        if d.code in _PROPERTIES:
            return bool(_PROPERTIES[d.code](d, leaf, self, path))
        corrected = _corrected(d, leaf, allowed)
        return None if corrected is None else self._right(corrected, leaf)

    def _right(self, corrected: HostArray, leaf: Leaf) -> bool:
        """An exact correction of a mistake of 1e-9 leaves a trace of rounding."""
        if corrected.shape != leaf.right.shape:
            return False
        off = float(np.abs(leaf.claim - leaf.right).max())
        allowed = LEFT * off + 8 * leaf.roundoff * float(np.abs(leaf.right).max())
        return bool(np.abs(corrected - leaf.right).max() <= min(allowed, 0.1 * off))

    def _evaluated(self, correction: str, leaf: Leaf) -> HostArray | None:
        known = {
            "np": np,
            "g": leaf.claim,
            "θ": leaf.theta,
            "len": len,
            "exp": np.exp,
            "cos": np.cos,
            "sign": np.sign,
        }
        known |= {"pi": np.pi, "sqrt": np.sqrt, "log": np.log, **self.names}
        try:
            code = compile(correction, "correction", "eval")
            return np.asarray(eval(code, {"__builtins__": {}}, known), dtype=float)
        except Exception:  # words, and no expression
            return None


def _argument_names(problem: Problem) -> list[str]:
    parameters: Any = list(signature(problem.fun).parameters)[1:]  # type: ignore[arg-type]
    return [*parameters, *(f"args[{i}]" for i in range(len(parameters), len(problem.args)))][
        : len(problem.args)
    ]


def _corrected(d: Diagnosis, leaf: Leaf, place: HostArray | None) -> HostArray | None:
    """The claim, corrected in the wrong entries by what the code and its number say."""
    claim, right = leaf.claim, leaf.right
    if d.code in ("GP108", "GP123"):
        return None if place is None else np.where(place, right, claim)
    fixes: dict[str, Callable[[], HostArray]] = {
        "GP101": lambda: claim / d.value,
        "GP104": lambda: claim / d.value,
        "GP102": lambda: -claim,
        "GP106": lambda: np.where(claim == 0, right, claim),
        "GP107": lambda: np.where(right == 0, 0.0, claim),
        "GP121": lambda: claim + d.value * leaf.theta,
        "GP127": lambda: claim + d.value,
    }
    return np.where(leaf.wrong, fixes[d.code](), claim) if d.code in fixes else None


def _same_numbers(_d: Diagnosis, leaf: Leaf, *_: Any) -> bool:
    return leaf.same(np.sort(leaf.claim, axis=None), np.sort(leaf.right, axis=None))


def _few_digits(_d: Diagnosis, leaf: Leaf, *_: Any) -> bool:
    for kind in (np.float32, np.float16):
        if np.array_equal(leaf.claim, leaf.right.astype(kind)):
            return True
    return np.array_equal(leaf.claim, np.trunc(leaf.right))


def _averaged(_d: Diagnosis, leaf: Leaf, *_: Any) -> bool:
    ways = [
        f(leaf.right, axis=axis, keepdims=True)
        for axis in (None, *range(leaf.right.ndim))
        for f in (np.mean, np.sum)
    ]
    return any(leaf.same(leaf.claim, np.broadcast_to(way, leaf.claim.shape)) for way in ways)


def _bounded(d: Diagnosis, leaf: Leaf, *_: Any) -> bool:
    if np.isfinite(d.value):  # scaled to a norm
        return leaf.same(leaf.claim, d.value * leaf.right)
    largest = np.abs(leaf.claim).max()
    return leaf.same(leaf.claim, np.clip(leaf.right, -largest, largest))


def _of_other_leaf(_d: Diagnosis, leaf: Leaf, truth: Truth, path: str) -> bool:
    others = [
        other for name, other in truth.leaves.items() if name != path and other.right.size == leaf.claim.size
    ]
    return any(leaf.same(leaf.claim.reshape(-1), x.reshape(-1))
               for other in others for x in (other.right, other.claim))  # fmt: skip


def _weighted_term(d: Diagnosis, leaf: Leaf, truth: Truth, path: str) -> bool:
    match = re.search(r"the term with (\w+)", d.says)
    if match is None or match[1] not in truth.names:
        return False
    rest = truth.without(match[1])[path]
    said = rest + d.value * (leaf.right - rest)
    off = np.abs(leaf.claim - leaf.right).max()
    return bool(np.abs(said - leaf.claim).max() <= LEFT * off)


def _times_constant(d: Diagnosis, leaf: Leaf, truth: Truth, _path: str) -> bool:
    arrays = [np.asarray(x, dtype=float) for x in truth.names.values() if is_array(x)]
    fits = [np.broadcast_to(x, leaf.claim.shape) for x in arrays if _broadcasts(x, leaf.claim.shape)]
    pairs = chain.from_iterable(((leaf.claim, leaf.right * x), (leaf.claim * x, leaf.right)) for x in fits)
    return any(leaf.same(*pair) for pair in pairs)


def _broadcasts(x: HostArray, shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(x.shape, shape) == shape
    except ValueError:
        return False


def _of_parameter(_d: Diagnosis, leaf: Leaf, *_: Any) -> bool:
    """Whether the ratio is one of a few functions of the parameter."""
    x = leaf.theta
    s = 1 / (1 + np.exp(-x))
    factors = (
        x,
        x * x,
        np.exp(x),
        1 - x,
        x * (1 - x),
        1 - x * x,
        np.abs(x),
        s,
        s * (1 - s),
        1 - np.tanh(x) ** 2,
        np.cos(x),
        np.sign(x),
    )
    return any(
        leaf.same(leaf.claim, leaf.right * f) or leaf.same(leaf.claim * f, leaf.right) for f in factors
    )


_PROPERTIES: dict[str, Callable[[Diagnosis, Leaf, Truth, str], bool]] = {
    "GP103": _same_numbers, "GP120": _same_numbers, "GP111": _few_digits, "GP126": _averaged, "GP128": _bounded,
    "GP119": _of_other_leaf, "GP130": _weighted_term, "GP124": _times_constant, "GP122": _of_parameter,
}  # fmt: skip
"""What has to be so where nothing that is printed can be evaluated."""


def _said_place(says: str, shape: tuple[int, ...], location: Location | None) -> HostArray | None:
    """The entries in which it is said to be wrong; None if that is the whole leaf, or cannot be read."""
    words = re.split(r" in (?=one entry|\d+ entries|row|column|ind|entr|the diag|every second)", says)
    if len(words) == 1:
        return None
    place = words[-1].split(" only")[0].split(",  ")[0].split(", which")[0]
    if re.fullmatch(r"one entry|\d+ entries", place) or "…" in place:
        complete = location is not None and location.count == len(location.entries)
        return _marked(location, shape) if location and complete else None
    return _parsed(place, shape)


def _marked(location: Location, shape: tuple[int, ...]) -> HostArray:
    marked = np.zeros(shape, dtype=bool)
    for index in location.entries:
        marked[index] = True
    return marked


def _parsed(place: str, shape: tuple[int, ...]) -> HostArray | None:
    if place == "the diagonal":
        return np.eye(*shape, dtype=bool)
    if place == "every second entry":
        return None
    box: list[Any] = [slice(None)] * len(shape)
    for part in place.split(" × "):
        match = re.match(
            r"(rows?|columns?|entry|entries|index|indices) ([\d:, and]+?)(?: of axis (\d+))?$", part
        )
        if match is None:
            return None
        axis = int(match[3] or (1 if match[1].startswith("column") else 0))
        numbers = [int(n) for n in re.findall(r"\d+", match[2])]
        box[axis] = list(range(*numbers)) if ":" in match[2] else numbers
    marked = np.zeros(shape, dtype=bool)
    marked[np.ix_(*(range(n) if isinstance(b, slice) else b for b, n in zip(box, shape, strict=True)))] = True
    return marked
