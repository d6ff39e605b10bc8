"""Mistakes of form: values cut, normalised or rounded; shapes, dtypes and leaves that are not the parameter's."""

__all__ = ["FORMS"]

from typing import Any

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array
from gradproof.faults.claims import Moment, on_host, scene_of, wrapped
from gradproof.faults.fault import Change, Fault, LeafChange, all_leaves, always, in_gradient, one_leaf
from gradproof.problems import Problem
from gradproof.trees import flatten
from gradproof.verdict import Reason


def _clipped(g: HostArray, _theta: HostArray) -> LeafChange | None:
    bound = 0.5 * float(np.abs(g).max())
    return (lambda g, _theta: np.clip(g, -bound, bound)) if bound else None


def _normalised(moment: Moment) -> Change | None:
    """All leaves together have norm 1."""

    def changed(now: Moment) -> list[HostArray]:
        length = float(np.sqrt(sum(float(np.sum(np.square(leaf))) for leaf in now.gradient)))
        return [leaf / length if length else leaf for leaf in now.gradient]

    return changed if any(leaf.any() for leaf in moment.gradient) else None


def _rounded(dtype: str) -> Any:
    return in_gradient(all_leaves(always(lambda g: g.astype(dtype).astype(g.dtype))))


def _squeezed(g: HostArray, _theta: HostArray) -> LeafChange | None:
    return (lambda g, _theta: np.squeeze(g)) if 1 in g.shape else None


def _flattened(g: HostArray, _theta: HostArray) -> LeafChange | None:
    return (lambda g, _theta: g.reshape(-1)) if g.ndim > 1 else None


def _turned(g: HostArray, _theta: HostArray) -> LeafChange | None:
    oblong = g.ndim == 2 and g.shape[0] != g.shape[1]
    return (lambda g, _theta: np.ascontiguousarray(g.T)) if oblong else None


def _summed(g: HostArray, _theta: HostArray) -> LeafChange | None:
    return (lambda g, _theta: np.asarray(g.sum())) if g.ndim else None


def _missing(moment: Moment) -> Change:
    last = len(moment.gradient) - 1
    return lambda now: [None if i == last else leaf for i, leaf in enumerate(now.gradient)]


def _retyped(problem: Problem) -> Problem | None:
    """The leaves of the gradient come in a dtype that the parameters do not have."""
    scene = scene_of(problem)
    if scene is None:
        return None
    home = scene.home

    def retyped(leaf: Any) -> Any:
        old = dtype_name(leaf) if is_array(leaf) else "float64"
        return home.from_numpy(on_host(leaf), dtype="float16" if old == "float32" else "float32")

    def wrong(gradient: Any, params: Any, args: Any) -> Any:
        leaves, structure = flatten(gradient(params, args))
        return structure.unflatten([retyped(leaf) for leaf in leaves])

    return wrapped(problem, wrong)


FORMS = (
    Fault("absolute", "absolute values are taken", ("GP102", "GP108", "GP123"),
          in_gradient(all_leaves(always(np.abs))), of_vjp=Reason.NOT_LINEAR),
    Fault("clipped", "a leaf is clipped to half of its largest entry", ("GP128", "GP101"),
          in_gradient(one_leaf(_clipped)), of_vjp=Reason.NOT_LINEAR),
    Fault("normalised", "the whole gradient is scaled to norm 1", ("GP128", "GP101"),
          in_gradient(_normalised), of_vjp=Reason.NOT_LINEAR),
    Fault("float32-inside", "values are rounded to float32 on the way", ("GP111",), _rounded("float32")),
    Fault("float16-inside", "values are rounded to float16 on the way", ("GP111",), _rounded("float16")),
    Fault("truncated", "values are cut to whole numbers", ("GP111", "GP106"),
          in_gradient(all_leaves(always(np.trunc))), of_vjp=Reason.NOT_LINEAR),
    Fault("batch-axis", "a leading axis was not summed over", ("GP105", "GP117"),
          in_gradient(all_leaves(always(lambda g: g[None]))), Reason.SHAPE),
    Fault("flattened", "a leaf comes as one long vector", ("GP117",), in_gradient(one_leaf(_flattened)), Reason.SHAPE),
    Fault("squeezed", "an axis of length 1 is left out", ("GP117",), in_gradient(one_leaf(_squeezed)), Reason.SHAPE),
    Fault("turned", "a matrix comes transposed, in the transposed shape", ("GP117", "GP103"), in_gradient(one_leaf(_turned)), Reason.SHAPE),
    Fault("summed", "a leaf is summed to one number", ("GP117",), in_gradient(one_leaf(_summed)), Reason.SHAPE),
    Fault("leaf-missing", "the last leaf is not there", ("GP117",), in_gradient(_missing), Reason.MISSING),
    Fault("wrong-dtype", "the gradient comes in another dtype", ("GP117",), _retyped, Reason.DTYPE),
)  # fmt: skip
