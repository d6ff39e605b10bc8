"""Functions of JAX as ports, and what every port on JAX shares: `JaxPort`.

One jitted call gives outputs, loss, the value of every node, its cotangent, and the gradients: `x` is handed on as
`x + delta` with a delta of zeros, and the gradient with respect to the delta is the cotangent. Compiled calls are kept:
other parameters, seeds and forced values cost no compilation.
"""

__all__ = ["JaxFunctionPort", "JaxPort", "Parts", "copied"]

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.port import Call, Module, Run, checked_leaves
from gradproof.trees import ROOT, flatten
from gradproof_jax_capture import Traced, host
from gradproof_jax_modules import see_all
from gradproof_jax_tracing import fresh_tracing

OUTPUT = "(output)"
"""Path of an output that is one array."""


@dataclass(frozen=True)
class Parts:
    """What a framework's model is made of, for `JaxPort`."""

    parameters: Mapping[str, Any]
    """What is trained, by path: arrays of JAX."""
    buffers: Mapping[str, Any]
    """Floating-point arrays that are not."""
    forward: Callable[[dict[str, Any], dict[str, Any], tuple[Any, ...]], tuple[Any, Mapping[str, Any]]]
    """`forward(parameters, buffers, inputs)`: the output, a tree of arrays, and the buffers after it. Traced."""
    rebuilt: Callable[[dict[str, Any]], Any]
    """What the port is of, with these parameters and buffers: an object of its own."""
    modules: Mapping[str, Module] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)


class JaxPort:
    """A port on JAX. float64 is switched on for the calling thread, while it runs.

    What a model draws at random (dropout) is the same in every run of one precision; JAX draws other numbers in float64.
    """

    framework = "jax"
    differentiates = True

    def __init__(self, parts: Parts, loss: Callable[..., Any] | None = None) -> None:
        if isinstance(loss, type) or not (loss is None or callable(loss)):
            raise TypeError(f"loss is called as loss(output, *targets), and {loss!r} came")
        self._forward, self._rebuilt = parts.forward, parts.rebuilt
        self._arrays = {**parts.parameters, **parts.buffers}
        self._loss = loss
        self.has_loss = loss is not None
        self.parameters: Mapping[str, HostArray] = {path: host(x) for path, x in parts.parameters.items()}
        self.buffers: Mapping[str, HostArray] = {path: host(x) for path, x in parts.buffers.items()}
        self.shared: Mapping[str, str] = dict(parts.shared)
        self.modules: Mapping[str, Module] = parts.modules
        self._dtypes = {path: x.dtype for path, x in self._arrays.items()}
        trained = [self._dtypes[path] for path in self.parameters]
        self._dtype = jnp.dtype(max(trained, key=lambda dtype: dtype.itemsize, default="float32"))
        self._traces: dict[Any, Traced] = {}

    def run(self, call: Call, /) -> Run:
        """Run it, and differentiate it where there is something to differentiate."""
        with self._precision(call.double):
            values = self._given(call)
            arrays, statics = _split((call.inputs, call.targets))
            arrays = [self._cast(x, call.double) for x in arrays]
            key = (call.double, _wide(), statics.key, *((x.shape, x.dtype) for x in arrays))
            if key not in self._traces:
                self._traces[key] = self._trace(values, arrays, statics)
            return self._traces[key].run(call, [*values, *arrays])

    def step(
        self, optimizer: Any, parameters: Mapping[str, HostArray], gradients: Mapping[str, HostArray], /
    ) -> dict[str, HostArray]:
        """One step of an optax transformation, or of a function of both dicts, from its initial state."""
        with jax.enable_x64(True):
            before = {path: jnp.asarray(x, jnp.float64) for path, x in parameters.items()}
            slopes = {path: jnp.asarray(gradients[path], jnp.float64) for path in before}
            if hasattr(optimizer, "init") and hasattr(optimizer, "update"):
                updates, _ = optimizer.update(slopes, optimizer.init(before), before)
                after = jax.tree.map(jnp.add, before, updates)
            elif callable(optimizer):
                after = optimizer(before, slopes)
            else:
                raise TypeError(
                    f"the optimizer is a {type(optimizer).__name__}: give an optax transformation, "
                    "or a function (parameters, gradients) -> parameters"
                )
            return {path: host(jnp.asarray(after[path])) for path in before}

    def filled(self, leaves: Mapping[str, HostArray], /) -> Any:
        """The model (of linen: its variables; of a function: the tree of params) with these parameters and buffers."""
        own = {**self.parameters, **self.buffers}
        new = checked_leaves(leaves, own, self.shared)
        with self._precision(double=False):
            made = {path: _array_like(self._arrays[path], x) for path, x in new.items()}
        return self._rebuilt(
            {path: made[path] if path in made else copied(self._arrays[path]) for path in own}
        )

    def _precision(self, double: bool) -> contextlib.AbstractContextManager[object]:
        own = _wide() or any(dtype == np.float64 for dtype in self._dtypes.values())
        switch: contextlib.AbstractContextManager[object] = jax.enable_x64(bool(double or own))
        return switch

    def _cast(self, x: Any, double: bool) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return jnp.asarray(x)
        return jnp.asarray(x, jnp.float64 if double else self._dtype)

    def _given(self, call: Call) -> list[Any]:
        """Parameters and buffers to run with."""
        due = {**self.parameters, **self.buffers}
        given = due if call.parameters is None else call.parameters
        if missing := due.keys() - given.keys():
            raise ValueError(
                f"parameters lack {sorted(missing)}: give every parameter and buffer of the port"
            )
        for path, own in due.items():
            if np.shape(given[path]) != own.shape:
                raise ValueError(f"parameter {path!r} has shape {np.shape(given[path])}, due is {own.shape}")
        return [jnp.asarray(given[path], jnp.float64 if call.double else self._dtypes[path]) for path in due]

    def _trace(self, values: list[Any], arrays: list[Any], statics: "_Statics") -> Traced:
        paths, count = (*self.parameters, *self.buffers), len(self.parameters)
        outputs: list[str] = []

        def whole(*flat: Any) -> Any:
            named = list(zip(paths, flat, strict=False))
            inputs, targets = statics.joined(flat[len(paths) :])
            output, after = self._forward(dict(named[:count]), dict(named[count:]), inputs)
            loss = [] if self._loss is None else [_scalar(self._loss(output, *targets))]
            leaves = _named(output)
            outputs.extend(leaves)
            return [*leaves.values(), *loss, *(jnp.asarray(after[path]) for path in self.buffers)]

        with fresh_tracing(object()):
            closed = jax.make_jaxpr(whole)(*values, *arrays)
        return Traced(closed, tuple(self.parameters), tuple(outputs), self.has_loss, tuple(self.buffers))


class JaxFunctionPort(JaxPort):
    """A plain function `fun(params, *inputs)` of a tree of arrays, seen where it calls `tap`.

    `buffers` are the paths of those floating-point leaves that are not trained.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        params: Any,
        *,
        loss: Callable[..., Any] | None = None,
        buffers: Collection[str] | None = None,
    ) -> None:
        leaves, structure = flatten(params)
        paths, untrained = structure.paths, set(buffers or ())
        if unknown := sorted(untrained - set(paths)):
            raise ValueError(f"there is no {unknown[0]!r} in params; there are {', '.join(paths)}")
        first: dict[int, str] = {}
        source = {path: first.setdefault(id(x), path) for path, x in zip(paths, leaves, strict=True)}
        named = {path: _leaf(path, x) for path, x in zip(paths, leaves, strict=True)}
        floats = {path: x for path, x in named.items() if source[path] == path and _is_number(x)}
        name = getattr(fun, "__name__", type(fun).__name__)

        def tree_of(values: Mapping[str, Any]) -> Any:
            return structure.unflatten(values[source[path]] for path in paths)

        def rebuilt(values: Mapping[str, Any]) -> Any:
            return tree_of({**{path: copied(x) for path, x in named.items()}, **values})

        def forward(parameters: dict[str, Any], held: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
            tree = tree_of({**named, **parameters, **held})
            seen = see_all(inputs, "", "input", name)
            return see_all(fun(tree, *seen), "", "output", name), held

        super().__init__(
            Parts(
                {path: x for path, x in floats.items() if path not in untrained},
                {path: x for path, x in floats.items() if path in untrained},
                forward,
                rebuilt,
                {"": Module(name)},
                {path: of for path, of in source.items() if path != of and _is_number(named[path])},
            ),
            loss,
        )


def copied(x: Any) -> Any:
    """A copy of an array: one that is donated (`donate_argnums`) is gone wherever it is."""
    return x.copy() if isinstance(x, jax.Array | np.ndarray) else x


def _array_like(own: Any, x: HostArray) -> Any:
    """`x` in the dtype of `own`, where that is; of numpy if that is."""
    if not isinstance(own, jax.Array):
        return np.array(x, dtype=own.dtype)
    if own.weak_type and not own.ndim:
        return jax.lax.full_like(own, x.item())  # weak again: a State of Equinox takes no other
    made = jnp.array(x, own.dtype)
    return jax.device_put(made, own.sharding) if getattr(own, "committed", False) else made


def _is_array(x: object) -> bool:
    return isinstance(x, jax.Array | np.ndarray | np.generic)


def _is_number(x: Any) -> bool:
    return _is_array(x) and bool(jnp.issubdtype(x.dtype, jnp.floating))


def _leaf(path: str, x: Any) -> Any:
    if _is_array(x) and jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise TypeError(f"{path!r} is {x.dtype}: complex numbers are not compared, split it into real parts")
    return x


def _named(output: Any) -> dict[str, Any]:
    """Arrays of what was returned, by path."""
    leaves, structure = flatten(output)
    named = {}
    for path, leaf in zip(structure.paths, leaves, strict=True):
        if not _is_array(leaf):
            raise TypeError(
                f"the port returned a {type(leaf).__name__} at {path!r}: return arrays, or a tree of them"
            )
        named[OUTPUT if path == ROOT else path] = jnp.asarray(leaf)
    if not named:
        raise TypeError("the port returned no array: return arrays, or a tree of them")
    return named


def _scalar(loss: Any) -> Any:
    if not isinstance(loss, jax.Array) or loss.shape != () or not jnp.issubdtype(loss.dtype, jnp.floating):
        came = (
            f"an array of shape {loss.shape}" if isinstance(loss, jax.Array) else f"a {type(loss).__name__}"
        )
        raise TypeError(f"loss returned {came}: it returns one floating-point number, an array of shape ()")
    return loss


def _wide() -> bool:
    """Whether float64 is switched on."""
    return bool(jax.dtypes.canonicalize_dtype(np.float64) == np.float64)


@dataclass(frozen=True)
class _Statics:
    """A tree whose arrays were taken out; numbers, strings and None stay."""

    treedef: Any
    leaves: tuple[Any, ...]
    """None where an array was."""

    @property
    def key(self) -> tuple[Any, str]:
        return self.treedef, repr(self.leaves)

    def joined(self, arrays: Sequence[Any]) -> Any:
        """The tree with arrays in place."""
        rest = iter(arrays)
        return self.treedef.unflatten([next(rest) if leaf is None else leaf for leaf in self.leaves])


def _split(tree: Any) -> tuple[list[Any], _Statics]:
    leaves, treedef = jax.tree.flatten(tree)
    is_array = [_is_array(leaf) for leaf in leaves]
    arrays = [leaf for leaf, array in zip(leaves, is_array, strict=True) if array]
    kept = tuple(None if array else leaf for leaf, array in zip(leaves, is_array, strict=True))
    return arrays, _Statics(treedef, kept)
