"""Values inside a function of JAX: an identity primitive that carries a name, and an interpreter that stops where it stands.

The function is traced once, in a tracing context of its own, so that what the caller jitted (and perhaps called before)
is traced anew, taps and all. Because a tap is a primitive, it survives `jit`, `vmap`, `grad`, `checkpoint` and `scan`;
no tracer of an inner trace is ever kept. `interpret` then evaluates the jaxpr, opening what has taps inside: jitted and
checkpointed calls in place, scans step by step, functions with a hand-written derivative by calling both halves of it.
Branches and loops of unknown length stay closed: their taps are identities.
"""

__all__ = ["JaxTape", "Visitor", "bind_tap", "fresh_tracing", "interpret"]

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Primitive
from jax.interpreters import ad, batching, mlir

from gradproof.arrays import Array
from gradproof.porting.tap import taping

MOST_UNROLLED = 512
"""Nodes that a scan may show when it is unrolled; one that has more stays closed. XLA takes 10 to 20 ms for each node of
a recurrent cell, and its gradient: 25 s for the 1344 of 64 steps of an LSTM."""


class Visitor(Protocol):
    """Who acts at the taps of an interpreted function."""

    def see(self, x: Array, /, *, name: str, role: str, kind: str, slot: int) -> Array:
        """Look at a value; what the computation goes on with."""

    def see_cotangent(self, name: str, x: Array, /) -> Array:
        """Look at a cotangent that was computed by hand; the same."""

    def by_hand(self) -> AbstractContextManager[object]:
        """Inside, values belong to a function with a hand-written derivative: nothing flows back through them."""


class JaxTape:
    """Marks values in the function that is being traced."""

    def see(self, name: str, x: Array, /, *, role: str = "tap", kind: str = "") -> Array:
        """`x`, marked."""
        return bind_tap(x, name, role=role, kind=kind)

    def see_cotangent(self, name: str, x: Array, /) -> Array:
        """`x`, marked as a cotangent."""
        return bind_tap(x, name, role="cotangent")


def bind_tap(x: Any, name: str, *, role: str, kind: str = "", slot: int = 0) -> Any:
    """`x`, marked if it holds floating-point numbers of JAX or numpy; anything else as it is."""
    if not isinstance(x, jax.Array | np.ndarray) or not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return _tap_p.bind(jnp.asarray(x), name=name, role=role, kind=kind, slot=slot)


_tap_p: Any = Primitive("gradproof_tap")
_tap_p.def_impl(lambda x, **_: x)
_tap_p.def_abstract_eval(lambda x, **_: x)
mlir.register_lowering(_tap_p, lambda _ctx, x, **_: [x])


def _batched(values: Sequence[Any], axes: Sequence[Any], **tag: Any) -> tuple[Any, int]:
    return _tap_p.bind(jnp.moveaxis(values[0], axes[0], 0), **tag), 0


def _differentiated(primals: Sequence[Any], tangents: Sequence[Any], **tag: Any) -> tuple[Any, Any]:
    return _tap_p.bind(primals[0], **tag), tangents[0]


batching.primitive_batchers[_tap_p] = _batched
ad.primitive_jvps[_tap_p] = _differentiated

_make_context: Any = getattr(jax, "make_user_context", None)
_contexts: Any = _make_context and _make_context(None)


@contextlib.contextmanager
def fresh_tracing(token: object) -> Iterator[None]:
    """Functions that the caller jitted are traced again inside, once for every `token`, with taps at work."""
    fresh = _contexts(token) if _contexts else jax.disable_jit()
    with fresh, taping(JaxTape()):
        yield


def interpret(closed: Any, args: Sequence[Any], visitor: Visitor) -> list[Any]:
    """Evaluate a closed jaxpr; at each of its taps `visitor` says with what to go on."""
    jaxpr = closed.jaxpr
    env: dict[Any, Any] = {}
    env.update(zip(jaxpr.constvars, closed.consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        with eqn.ctx.manager:
            outs = _evaluate(eqn, [read(atom) for atom in eqn.invars], visitor)
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _evaluate(eqn: Any, values: list[Any], visitor: Visitor) -> Sequence[Any]:
    if eqn.primitive is _tap_p:
        return [_visit(values[0], eqn.params, visitor)]
    if _is_custom(eqn):
        return _by_hand(eqn, values, visitor)
    inner, scans = _opened(eqn), eqn.primitive.name == "scan"
    if inner is None or not _has_taps(inner.jaxpr, halves=not scans):
        return _bound(eqn, values)
    if not scans:
        return interpret(inner, values, visitor)
    nodes = eqn.params["length"] * _taps(inner.jaxpr)
    return _unrolled(eqn.params, values, visitor) if 0 < nodes <= MOST_UNROLLED else _bound(eqn, values)


def _visit(x: Any, tag: dict[str, Any], visitor: Visitor) -> Any:
    return visitor.see_cotangent(tag["name"], x) if tag["role"] == "cotangent" else visitor.see(x, **tag)


def _bound(eqn: Any, values: Sequence[Any]) -> Sequence[Any]:
    found = eqn.primitive.get_bind_params(eqn.params)
    subfuns, params = found if isinstance(found, tuple) else ((), found)
    outs = eqn.primitive.bind(*subfuns, *values, **params)
    return outs if eqn.primitive.multiple_results else [outs]


OPENED = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2", "scan")
"""Primitives that do no more than call what they hold."""


def _opened(eqn: Any) -> Any:
    """What a calling primitive calls, closed; None for any other."""
    if eqn.primitive.name not in OPENED:
        return None
    inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
    return ClosedJaxpr(inner, ()) if isinstance(inner, Jaxpr) else inner


def _has_taps(jaxpr: Any, halves: bool = True) -> bool:
    """Whether taps stand in it; `halves`: or might, in the forward half of a hand-written derivative."""
    return any(
        eqn.primitive is _tap_p
        or (halves and _is_custom(eqn))
        or any(_has_taps(inner, halves) for inner in _inner(eqn.params))
        for eqn in jaxpr.eqns
    )


def _taps(jaxpr: Any) -> int:
    """Number of taps in it."""
    inside = (_taps(inner) for eqn in jaxpr.eqns for inner in _inner(eqn.params))
    return sum(eqn.primitive is _tap_p for eqn in jaxpr.eqns) + sum(inside)


def _is_custom(eqn: Any) -> bool:
    return bool(eqn.primitive.name.startswith("custom_vjp_call"))


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part


def _unrolled(params: dict[str, Any], values: list[Any], visitor: Visitor) -> list[Any]:
    """A scan, step by step."""
    first, last = params["num_consts"], params["num_consts"] + params["num_carry"]
    consts, carry, rows = values[:first], values[first:last], values[last:]
    steps: list[list[Any]] = []
    order = range(params["length"])
    for i in reversed(order) if params["reverse"] else order:
        outs = interpret(params["jaxpr"], [*consts, *carry, *(row[i] for row in rows)], visitor)
        carry, row = outs[: last - first], outs[last - first :]
        steps.append(row)
    ordered = steps[::-1] if params["reverse"] else steps
    return [*carry, *(jnp.stack(column) for column in zip(*ordered, strict=True))]


def _by_hand(eqn: Any, values: Sequence[Any], visitor: Visitor) -> Sequence[Any]:
    """Both halves of a hand-written derivative, with their taps; without any, the whole as it is."""
    forward, (outs, pull) = jax.make_jaxpr(
        lambda *xs: jax.vjp(lambda *ys: tuple(_bound(eqn, ys)), *xs), return_shape=True
    )(*values)
    if not _has_taps(forward.jaxpr, halves=False):
        return _bound(eqn, values)
    tree = jax.tree.structure(pull)
    with visitor.by_hand():
        flat = interpret(forward, [jax.lax.stop_gradient(x) for x in values], visitor)

    def pulled(residuals: Any, cotangents: Any) -> Any:
        live = [None if _is_void(c) else c for c in cotangents]

        def backward(residuals: Any, live: Any) -> Any:
            given = (old if new is None else new for old, new in zip(cotangents, live, strict=True))
            gradients = jax.tree.unflatten(tree, residuals)(tuple(given))
            return tuple(None if _is_void(g) else g for g in gradients)

        closed, shapes = jax.make_jaxpr(backward, return_shape=True)(residuals, live)
        found = interpret(closed, jax.tree.leaves((residuals, live)), visitor)
        return jax.tree.unflatten(jax.tree.structure(shapes), found)

    return _joined(pulled, values, tuple(flat[: len(outs)]), flat[len(outs) :])


def _is_void(cotangent: Any) -> bool:
    """Whether it is that of integers."""
    return bool(cotangent.dtype == jax.dtypes.float0)


def _joined(
    pulled: Callable[[Any, Any], Any], values: Sequence[Any], outs: tuple[Any, ...], residuals: list[Any]
) -> tuple[Any, ...]:
    """`outs` as a function of `values`, whose derivative is `pulled`."""

    @jax.custom_vjp
    def call(_values: Any, outs: Any, _residuals: Any) -> Any:
        return outs

    call.defvjp(
        lambda _, outs, residuals: (outs, residuals),
        lambda residuals, cotangents: (pulled(residuals, cotangents), None, None),
    )
    stopped = jax.tree.map(jax.lax.stop_gradient, (outs, residuals))
    return call(tuple(values), *stopped)
