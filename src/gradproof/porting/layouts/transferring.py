"""One side's parameters written from the other's."""

__all__ = ["transfer"]

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, is_array
from gradproof.backend import backend_for
from gradproof.porting.layouts.layout import Layout


def transfer(params: Any, layout: Layout) -> dict[str, HostArray]:
    """Parameters of the reference in the port's layout, on the host.

    `params` is the reference's port, or its parameters and buffers by path, in arrays of any framework. Raises TypeError
    for what is neither, or no Layout; LayoutError if they do not fit.
    """
    if not isinstance(layout, Layout):
        raise TypeError(_no_layout(layout))
    own = getattr(params, "parameters", None)
    leaves = {**own, **params.buffers} if isinstance(own, Mapping) else params
    if not isinstance(leaves, Mapping):
        raise TypeError(_no_leaves(params))
    for path, leaf in leaves.items():
        if not is_array(leaf):
            raise TypeError(
                f"transfer takes arrays by path; {path!r} is a {type(leaf).__name__}: give the port"
            )
    return layout.apply({path: _host(leaf) for path, leaf in leaves.items()})


_DOORS = {
    "torch.nn.": "torch_port(module)",
    "flax.nnx.": "flax_port(model)",
    "flax.linen.": "flax_port(model, variables)",
    "equinox.": "equinox_port(model)",
}
"""By where a class of modules lives."""


def _no_layout(came: Any) -> str:
    due = f"transfer(params, layout) takes a Layout; a {type(came).__name__} came"
    if isinstance(came, str):
        return f"{due}: Layout.from_json(…) reads one"
    if isinstance(getattr(came, "layout", None), Layout) or hasattr(came, "compared"):
        return f"{due}: report.compared[…].layout is one"
    return due


def _no_leaves(came: Any) -> str:
    homes = tuple(f"{base.__module__}." for base in type(came).__mro__)
    hint = next(
        (f": {door}" for home, door in _DOORS.items() if any(at.startswith(home) for at in homes)), ""
    )
    return f"transfer takes a port, or arrays by path; a {type(came).__name__} came{hint}"


def _host(leaf: Any) -> HostArray:
    host: HostArray = leaf if isinstance(leaf, np.ndarray) else backend_for(leaf).to_numpy(leaf)
    return host
