"""Codes of broken contracts, and a claim of another shape that was not summed over a broadcast axis."""

__all__ = ["by_reason", "summed"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from gradproof.arrays import HostArray
from gradproof.point import Point
from gradproof.verdict import Diagnosis, Estimate, Finding, Reason

_CODES = {
    Reason.MUTATES: "GP113", Reason.ACCUMULATES: "GP114", Reason.STALE: "GP115", Reason.RANDOM_CLAIM: "GP112",
    Reason.NOT_FINITE: "GP118", Reason.SHAPE: "GP117", Reason.DTYPE: "GP117", Reason.STRUCTURE: "GP117",
    Reason.MISSING: "GP117", Reason.NOT_LINEAR: "GP129", Reason.LAYOUT: "GP129",
    Reason.DIFFERENT_FUNCTION: "GP116",
}  # fmt: skip


def by_reason(findings: Sequence[Finding], name: str) -> list[Diagnosis]:
    """Diagnoses of the contracts that source `name` breaks, one for each code."""
    broken: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.sources[0] == name and finding.what in ("contract", "value") and finding.reason in _CODES:
            broken.setdefault(_CODES[finding.reason], []).append(finding)
    return [
        Diagnosis(
            code, name, tuple(f.leaf for f in of_code if f.leaf), f"{name}: {of_code[0].reason.value}"
            + (f" ({of_code[0].detail})" if of_code[0].detail else ""),
        )
        for code, of_code in broken.items() if of_code[0].reason
    ]  # fmt: skip


def summed(
    name: str, point: Point, claimed: Mapping[str, HostArray], agrees: Callable[[list[Estimate]], bool]
) -> Diagnosis | None:
    """Whether leaves of another shape agree once they are summed, or averaged, over their surplus axes."""
    for words, reduce in (("summed", np.sum), ("averaged", np.mean)):
        candidates = [
            list(_reduced(claimed.get(path), shape, reduce))
            for path, shape in zip(point.paths, point.shapes, strict=True)
        ]
        if not all(candidates):
            return None
        for choice in range(max(map(len, candidates))):
            leaves = [of_leaf[min(choice, len(of_leaf) - 1)] for of_leaf in candidates]
            if agrees([Estimate(x, 2.0**-50 * np.abs(x) + 2.0**-52 * np.abs(x).max()) for x in leaves]):
                return _summed(name, point, claimed, words)
    return None


def _summed(name: str, point: Point, claimed: Mapping[str, HostArray], words: str) -> Diagnosis:
    shapes = dict(zip(point.paths, point.shapes, strict=True))
    wrong = tuple(path for path, shape in shapes.items() if claimed[path].shape != shape)
    if all(claimed[path].size == np.prod(shapes[path], dtype=int) for path in wrong):
        says = "has surplus axes of length 1: without them it agrees"
        return Diagnosis("GP117", name, wrong, says, f"g.reshape({shapes[wrong[0]]})")
    says = f"was not {words} over an axis that the function broadcasts: {words} over it, it agrees"
    return Diagnosis("GP105", name, wrong, says, f"g.{'sum' if words == 'summed' else 'mean'}(axis=…)")


def _reduced(
    leaf: HostArray | None, due: tuple[int, ...], reduce: Callable[..., HostArray]
) -> Iterator[HostArray]:
    """The leaf reduced over the axes that it has too many of, in every way that gives the due shape."""
    if leaf is None or not leaf.size or not np.isfinite(leaf).all():
        return
    if leaf.shape == due:
        yield leaf
        return
    for number in range(1, leaf.ndim + 1):
        for axes in combinations(range(leaf.ndim), number):
            for keep in (False, True):
                reduced = np.asarray(reduce(leaf, axis=axes, keepdims=keep))
                if reduced.shape == due:
                    yield reduced
