"""One traced function of JAX, run with nodes watched, forced and differentiated."""

__all__ = ["Traced", "host"]

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.port import Call, Run, Seen
from gradproof.porting.tap import Keys
from gradproof_jax_tracing import fresh_tracing, interpret

Forcing = tuple[Any, Any, Any]
"""Of one node: whether it is forced, to what, and the cotangent of its own value."""


def host(x: Any) -> HostArray:
    """Exact copy that numpy can hold: bfloat16 and smaller floats come as float32."""
    if jnp.issubdtype(x.dtype, jnp.floating) and x.dtype not in (np.float16, np.float32, np.float64):
        x = x.astype(jnp.float32)
    return np.array(x, copy=True)


@dataclass
class _Nodes:
    """The `Visitor` of one evaluation."""

    deltas: Mapping[str, Any] | None
    """Zeros to add to what is handed on; None: nothing is differentiated."""
    forced: Mapping[str, Forcing] | None
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name, role, kind and dtype of every node."""
    values: dict[str, Any] = field(default_factory=dict)
    cotangents: dict[str, Any] = field(default_factory=dict)
    """Those told by hand."""
    _keys: Keys = field(default_factory=Keys)
    _untold: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _depth: int = 0

    def see(self, x: Any, /, *, name: str, role: str, kind: str, slot: int) -> Any:
        """Note a value and hand on what is due."""
        key = self._keys.new(name, role, slot)
        self.seen[key] = {"name": name, "role": role, "kind": kind, "dtype": str(x.dtype)}
        self.values[key] = x
        if self._depth:
            self._untold[name].append(key)
        if self.forced is not None:
            is_forced, value, _ = self.forced[key]
            x = jnp.where(is_forced, value, x)
        return x if self.deltas is None or self._depth else x + self.deltas[key]

    def see_cotangent(self, name: str, x: Any, /) -> Any:
        """Note the cotangent of the last node of this name that has none yet."""
        if not self._untold[name]:
            return x
        key = self._untold[name].pop()
        self.cotangents[key] = x
        if self.forced is None:
            return x
        is_forced, _, cotangent = self.forced[key]
        return jnp.where(is_forced, cotangent, x)

    @contextlib.contextmanager
    def by_hand(self) -> Iterator[None]:
        """Inside, cotangents are told, not computed."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1


@dataclass
class Traced:
    """A function `(trained, rest) -> (outputs, loss or None, buffers)`, as a jaxpr of flat lists."""

    closed: Any
    trained: tuple[str, ...]
    """Paths of the first arguments, those to differentiate by."""
    outputs: tuple[str, ...]
    has_loss: bool
    buffers: tuple[str, ...]
    _compiled: dict[Any, Any] = field(default_factory=dict)
    _token: object = field(default_factory=object)
    _seen: dict[str, dict[str, str]] = field(default_factory=dict)
    _shapes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nodes = _Nodes(None, None)

        def values(args: Sequence[Any]) -> Any:
            interpret(self.closed, args, nodes)
            return nodes.values

        with self._tracing():
            self._shapes = jax.eval_shape(values, self.closed.in_avals)
        self._seen = nodes.seen

    def run(self, call: Call, args: Sequence[Any]) -> Run:
        """Run it on arrays of JAX."""
        goal = self._goal(call)
        seeds = self._seeds(call) if goal == "seeds" else None
        forced = self._forcing(call) if call.forced else None
        key = (goal, forced is not None, call.watched)
        if key not in self._compiled:
            self._compiled[key] = jax.jit(
                lambda *xs: self._evaluate(goal, call.watched, *xs), compiler_options=_quick()
            )
        with self._tracing():
            found = self._compiled[key](list(args), seeds, forced)
        return self._told({part: jax.tree.map(host, value) for part, value in found.items()})

    def _tracing(self) -> contextlib.AbstractContextManager[None]:
        return fresh_tracing(self._token)

    def _goal(self, call: Call) -> str:
        """What is differentiated."""
        if call.forward_only or (not self.has_loss and call.seeds is None):
            return ""
        return "loss" if self.has_loss else "seeds"

    def _seeds(self, call: Call) -> list[Any]:
        avals, seeds = self.closed.out_avals[: len(self.outputs)], call.seeds or ()
        if len(seeds) != len(avals):
            raise ValueError(f"{len(seeds)} seeds came for {len(avals)} outputs: {', '.join(self.outputs)}")
        placed = []
        for path, seed, aval in zip(self.outputs, seeds, avals, strict=True):
            if not jnp.issubdtype(aval.dtype, jnp.floating):
                placed.append(np.zeros(aval.shape, jax.dtypes.float0))
                continue
            placed.append(_placed(f"the seed of output {path!r}", seed, aval))
        return [None if seed.dtype == jax.dtypes.float0 else seed for seed in placed]

    def _forcing(self, call: Call) -> dict[str, Forcing]:
        """For every node: the same compiled call serves whichever of them are forced."""
        if unknown := call.forced.keys() - self._shapes.keys():
            raise ValueError(f"{sorted(unknown)} cannot be forced: no such node was seen")
        forcing = {}
        for key, aval in self._shapes.items():
            given = call.forced.get(key)
            value = _placed(f"the forced value of {key!r}", given.value if given else None, aval)
            cotangent = _placed(f"the forced cotangent of {key!r}", given.cotangent if given else None, aval)
            forcing[key] = (jnp.asarray(given is not None), value, cotangent)
        return forcing

    def _evaluate(
        self, goal: str, watched: bool, args: list[Any], seeds: Any, forced: Mapping[str, Forcing] | None
    ) -> dict[str, Any]:
        count = len(self.trained)
        nodes = _Nodes(None, forced)

        def forward(trained: list[Any], deltas: Any) -> Any:
            nodes.deltas = deltas
            flat = interpret(self.closed, [*trained, *args[count:]], nodes)
            outputs, rest = flat[: len(self.outputs)], flat[len(self.outputs) :]
            loss = rest.pop(0) if self.has_loss else None
            floats = [x for x in outputs if jnp.issubdtype(x.dtype, jnp.floating)]
            aims = {"loss": loss, "seeds": floats, "": None}[goal]
            shown = {
                "outputs": outputs,
                "loss": loss,
                "buffers": rest,
                "values": nodes.values if watched or forced else {},
            }
            return (aims, nodes.values if forced else {}), shown

        if not goal:
            return forward(args[:count], None)[1]
        zeros = {key: jnp.zeros(x.shape, x.dtype) for key, x in self._shapes.items()} if watched else None
        aims, pull, shown = jax.vjp(forward, args[:count], zeros, has_aux=True)
        due = jnp.ones_like(aims[0]) if goal == "loss" else [seed for seed in seeds if seed is not None]
        gradients, cotangents = pull((due, {key: forced[key][2] for key in forced} if forced else {}))
        return {**shown, "gradients": gradients, "cotangents": {**(cotangents or {}), **nodes.cotangents}}

    def _told(self, found: dict[str, Any]) -> Run:
        cotangents, gradients = found.get("cotangents", {}), found.get("gradients")
        nodes = (
            Seen(**tags, key=key, value=found["values"][key], cotangent=cotangents.get(key))
            for key, tags in self._seen.items()
            if key in found["values"]
        )
        names = [str(aval.dtype) for aval in self.closed.out_avals]
        return Run(
            outputs=dict(zip(self.outputs, found["outputs"], strict=True)),
            dtypes=dict(zip(self.outputs, names, strict=False)),
            loss=None if found["loss"] is None else float(found["loss"]),
            nodes=tuple(nodes),
            gradients=None if gradients is None else dict(zip(self.trained, gradients, strict=True)),
            buffers=dict(zip(self.buffers, found["buffers"], strict=True)),
        )


@cache
def _quick() -> dict[str, Any] | None:
    """Options that favour compile time on the CPU; none where XLA does not know them.

    For gradients of a transformer of two layers with 45 nodes XLA takes 0.4 to 0.8 s in place of 4.5 to 5.9 s; a call
    of it takes 2 ms either way.
    """
    options: dict[str, Any] = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(np.float32(0)).compile()
    except (RuntimeError, TypeError, ValueError):
        return None
    return options


def _placed(what: str, given: HostArray | None, aval: Any) -> Any:
    """An array of the shape and dtype that are due; zeros if none is given."""
    if given is None:
        return jnp.zeros(aval.shape, aval.dtype)
    if np.shape(given) != aval.shape:
        raise ValueError(f"{what} has shape {np.shape(given)}, due is {aval.shape}")
    return jnp.asarray(given, aval.dtype)
