"""What must hold before values are compared: structure, shape, dtype, purity, finiteness. Nothing broadcasts."""

__all__ = [
    "ContractBroken",
    "changed",
    "changed_args",
    "claimed_leaves",
    "fingerprint",
    "not_finite",
    "not_linear",
    "repeated",
    "stale",
    "strided",
]

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from gradproof.arrays import (
    Array,
    HostArray,
    blocks,
    difference_norm,
    dtype_name,
    is_array,
    is_floating,
    norm,
)
from gradproof.backend import Backend, backend_for
from gradproof.point import Placement, Point
from gradproof.trees import leaves_by_path
from gradproof.verdict import Estimate, Finding, Reason, Verdict

LINEAR = 1e-3
"""Share of a leaf's norm by which a scaled or strided cotangent may change the answer: low-precision code rounds
differently, a cotangent that is ignored or misread is off by about 1."""


class ContractBroken(Exception):
    """A claim that cannot be compared; `findings` says what is wrong with it, leaf by leaf."""

    def __init__(self, findings: Sequence[Finding], claimed: Mapping[str, HostArray] | None = None) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = tuple(findings)
        self.claimed = claimed or {}
        """The arrays of a claim of the wrong form, by path."""


def broken(source: str, leaf: str | None, reason: Reason, detail: str) -> Finding:
    """Finding for a contract that `source` does not keep."""
    return Finding("contract", (source,), leaf, Verdict.DISAGREES, reason, detail)


def claimed_leaves(source: str, tree: Any, placement: Placement) -> list[HostArray]:
    """Leaves of a claimed gradient on the host, in the order of the parameters, paired by path.

    Raises ContractBroken with a finding for every missing, surplus, wrongly shaped or wrongly typed leaf.
    """
    claimed, point = leaves_by_path(tree), placement.point
    findings = [_surplus(source, path, point) for path in claimed if path not in point.paths]
    for path, shape, dtype in zip(point.paths, point.shapes, placement.dtypes, strict=True):
        if fault := _leaf_fault(claimed.get(path), shape, dtype, point.home):
            findings.append(broken(source, path, *fault))
    if findings:
        arrays = {path: _to_host(leaf) for path, leaf in claimed.items() if _is_of(leaf, point.home)}
        raise ContractBroken(findings, arrays)
    return [_to_host(claimed[path]) for path in point.paths]


def not_finite(source: str, point: Point, gradient: Sequence[HostArray], *, masked: bool) -> list[Finding]:
    """A finding for every leaf of `gradient` that holds NaN or infinity.

    It may come from outputs that were `masked` by a cotangent of 0: 0·∞. Then nothing is decided.
    """
    verdict, reason = (
        (Verdict.UNDECIDED, Reason.NAN_UNDER_MASK) if masked else (Verdict.DISAGREES, Reason.NOT_FINITE)
    )
    return [
        Finding("contract", (source,), path, verdict, reason, _where_not_finite(leaf))
        for path, leaf in zip(point.paths, gradient, strict=True)
        if not np.isfinite(leaf).all()
    ]


def changed(source: str, point: Point, arrays: Sequence[Array], given: Sequence[int]) -> list[Finding]:
    """A finding for every array that was handed to `source` and does not hold any more what it was `given`,
    by fingerprint."""
    return [
        broken(
            source,
            path,
            Reason.MUTATES,
            "entries changed during the call; the caller's own array was not passed",
        )
        for path, array, before in zip(point.paths, arrays, given, strict=True)
        if fingerprint(array) != before
    ]


def fingerprint(array: Array) -> int:
    """Checksum of the bits of `array`: smaller than a copy to compare it with, and five times as fast as a digest."""
    return crc32(_bytes(array if isinstance(array, np.ndarray) else _to_host(array)).data)


def _bytes(array: HostArray) -> HostArray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _same_bits(now: HostArray, before: HostArray) -> bool:
    """A block at a time: a comparison of numbers takes forty times as long."""
    one, other = _bytes(now), _bytes(before)
    return all(one[part].tobytes() == other[part].tobytes() for part in blocks(one.size))


def changed_args(source: str, placement: Placement) -> list[Finding]:
    """A finding if the constants that were handed to `source` do not hold what they were given any more."""
    with placement.context():
        fresh = Placement(placement.point, placement.backend, double=placement.double).args
    before, now = leaves_by_path(list(fresh)), leaves_by_path(list(placement.args))
    return [
        broken(
            source,
            None,
            Reason.MUTATES,
            f"args{path} changed during the call; the caller's own array was not passed",
        )
        for path, array in now.items()
        if is_array(array) and not _same(_to_host(array), _to_host(before[path]))
    ]


def _same(now: HostArray, before: HostArray) -> bool:
    alike = now.shape == before.shape and now.dtype == before.dtype
    same_bits = alike and not now.dtype.hasobject and _same_bits(now, before)
    return same_bits or np.array_equal(now, before, equal_nan=now.dtype.kind in "fc")


def repeated(
    source: str, first: Sequence[HostArray], again: Sequence[HostArray], resolution: float
) -> Finding | None:
    """A finding if the same call gave a gradient the second time that differs by more than the resolution."""
    if _close(first, again, resolution):
        return None
    factor = _common_factor(first, again)
    if factor is not None and factor > 1 and abs(factor - round(factor)) < 1e-6:
        return broken(source, None, Reason.ACCUMULATES, f"the second answer was {round(factor)} × the first")
    return broken(source, None, Reason.RANDOM_CLAIM, "two calls at one point gave two gradients")


def stale(
    source: str, first: Sequence[HostArray], late: Sequence[HostArray], resolution: float
) -> Finding | None:
    """A finding if the gradient changed because the function was evaluated elsewhere in between."""
    if _close(first, late, resolution):
        return None
    detail = "after fun was evaluated at another point, the gradient at this one came out different"
    return broken(source, None, Reason.STALE, detail)


def not_linear(
    source: str, first: Sequence[Estimate], scaled: Sequence[HostArray], factor: float
) -> Finding | None:
    """A finding if the cotangent times `factor` did not give `factor` times the gradient; 0 has to give exactly 0."""
    if _within([Estimate(factor * leaf.value, abs(factor) * leaf.bar) for leaf in first], scaled):
        return None
    return broken(
        source,
        None,
        Reason.NOT_LINEAR,
        f"the cotangent times {factor:g} did not give {factor:g} × the answer",
    )


def strided(source: str, first: Sequence[Estimate], again: Sequence[HostArray]) -> Finding | None:
    """A finding if the same cotangent, not contiguous in memory, gave another gradient."""
    if _within(first, again):
        return None
    return broken(
        source,
        None,
        Reason.LAYOUT,
        "every second element of a larger array gave another answer than a copy of it",
    )


def _leaf_fault(leaf: Any, shape: tuple[int, ...], dtype: str, home: Backend) -> tuple[Reason, str] | None:
    """What is wrong with one leaf of a claim, and what came where what was due."""
    if leaf is None:
        return Reason.MISSING, f"nothing there; due: an array of shape {shape}"
    if isinstance(leaf, float) and shape == () and dtype == "float64":
        return None
    if not is_array(leaf):
        return (
            Reason.STRUCTURE,
            f"the claim has a {type(leaf).__name__} there; due: an array of shape {shape}",
        )
    owner = backend_for(leaf)
    if owner != home:
        return (
            Reason.STRUCTURE,
            f"the claim is an array of {owner.name}; due: {home.name}, like the parameter",
        )
    return _form_fault(tuple(leaf.shape), dtype_name(leaf), shape, dtype)


def _form_fault(
    shape: tuple[int, ...], dtype: str, due_shape: tuple[int, ...], due_dtype: str
) -> tuple[Reason, str] | None:
    if shape != due_shape:
        return Reason.SHAPE, f"the claim has shape {shape}; due: {due_shape}. Nothing is broadcast"
    if dtype != due_dtype:
        return Reason.DTYPE, f"the claim has dtype {dtype}; due: {due_dtype}, like the parameter"
    return None


def _is_of(leaf: Any, home: Backend) -> bool:
    return isinstance(leaf, float) or (is_array(leaf) and is_floating(leaf) and backend_for(leaf) == home)


def _surplus(source: str, path: str, point: Point) -> Finding:
    detail = f"the claim has a leaf {path!r} that params lacks; due: {', '.join(point.paths)}"
    return broken(source, path, Reason.STRUCTURE, detail)


def _to_host(leaf: Any) -> HostArray:
    return np.asarray(leaf) if isinstance(leaf, float) else backend_for(leaf).to_numpy(leaf)


def _where_not_finite(leaf: HostArray) -> str:
    bad = ~np.isfinite(leaf)
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{bad.sum()} of {leaf.size} entries are not finite, the first at {list(first)}: {leaf[first]}"


def _within(due: Sequence[Estimate], got: Sequence[HostArray]) -> bool:
    """Whether every leaf is what was due, to the share `LINEAR` of its norm or to twice its bar. NaN is not."""
    return all(
        difference_norm(b, a.value) <= LINEAR * norm(a.value) + 2 * norm(a.bar)
        for a, b in zip(due, got, strict=True)
    )


def _close(first: Sequence[HostArray], again: Sequence[HostArray], resolution: float) -> bool:
    """Whether no leaf changed by more than `resolution` of its own norm. NaN is not close."""
    return all(difference_norm(b, a) <= resolution * norm(a) for a, b in zip(first, again, strict=True))


def _common_factor(first: Sequence[HostArray], again: Sequence[HostArray]) -> float | None:
    """c with again = c·first in every entry, if there is one."""
    a = np.concatenate([x.ravel() for x in first]).astype(np.float64)
    b = np.concatenate([x.ravel() for x in again]).astype(np.float64)
    largest = np.max(np.abs(a), initial=0.0)
    if not largest > 0:
        return None
    a, b = a / largest, b / largest
    factor = float(a @ b / (a @ a))
    return factor if np.allclose(b, factor * a, rtol=1e-6, atol=0.0) else None
