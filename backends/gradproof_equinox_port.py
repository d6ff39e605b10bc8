"""Modules of Equinox as ports."""

__all__ = ["EquinoxPort"]

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradproof.porting.port import Module
from gradproof_jax_modules import labelled_class, path_of, settings
from gradproof_jax_port import JaxPort, Parts, copied

OPAQUE = (eqx.Module, eqx.nn.State)
"""Containers whose arrays are not values on their way."""


class EquinoxPort(JaxPort):
    """A module of Equinox, or a pair `(module, state)` as `eqx.nn.make_with_state` makes it.

    It is called as `model(*inputs)`, `model(*inputs, state)` if there is a state. Modules of Equinox take one example:
    `call=lambda model, x: jax.vmap(model)(x)` runs one on a batch, and every node then has the batch axis first. With a
    state it is `call(model, state, *inputs)`, which returns `(output, state)`. Trained is every floating-point array of
    the module (a layer with frozen weights calls `jax.lax.stop_gradient` itself); those of the state are buffers.
    """

    framework = "equinox"

    def __init__(
        self, model: Any, *, call: Callable[..., Any] | None = None, loss: Callable[..., Any] | None = None
    ) -> None:
        module, state = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
        if not isinstance(module, eqx.Module) or not (state is None or isinstance(state, eqx.nn.State)):
            raise TypeError(
                f"equinox_port takes an equinox.Module, or a pair of one and its State, not a {type(model).__name__}"
            )
        if state is not None:  # the caller's is not to be used again after its first call
            state = _updated(state, [], {}, copied)
        modules: dict[str, Module] = {}
        labelled = _labelled(module, (), modules)
        entries, treedef = jax.tree_util.tree_flatten_with_path(labelled, is_leaf=_is_index)
        leaves = [(path_of(_name(key) for key in keys), leaf) for keys, leaf in entries]
        held = _states(state, leaves)
        own, plain = jax.tree.flatten(module, is_leaf=_is_index)

        def forward(parameters: dict[str, Any], buffers: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
            copy = jax.tree.unflatten(treedef, [parameters.get(path, leaf) for path, leaf in leaves])
            if state is None:
                return (copy(*inputs) if call is None else call(copy, *inputs)), buffers
            before = _updated(state, leaves, buffers, _counter)
            returned = copy(*inputs, before) if call is None else call(copy, before, *inputs)
            if not (
                isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], eqx.nn.State)
            ):
                raise TypeError("a module with a state returns (output, state)")
            return returned[0], _states(returned[1], leaves)

        def rebuilt(values: dict[str, Any]) -> Any:
            pairs = zip(leaves, own, strict=True)
            made = jax.tree.unflatten(plain, [values.get(path, copied(leaf)) for (path, _), leaf in pairs])
            return made if state is None else (made, _updated(state, leaves, values, copied))

        trained = {path: leaf for path, leaf in leaves if _is_number(leaf)}
        super().__init__(Parts(trained, held, forward, rebuilt, modules), loss)


def _is_number(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray) and bool(jnp.issubdtype(x.dtype, jnp.floating))


def _is_index(x: Any) -> bool:
    return isinstance(x, eqx.nn.StateIndex)


def _name(key: Any) -> Any:
    return getattr(key, "name", getattr(key, "idx", getattr(key, "key", None)))


def _labelled(x: Any, parts: tuple[Any, ...], modules: dict[str, Module]) -> Any:
    """`x` with every module in a class that shows what it takes and returns; kinds and settings by path."""
    if type(x) in (list, tuple):
        return type(x)(_labelled(part, (*parts, i), modules) for i, part in enumerate(x))
    if type(x) is dict:
        return {key: _labelled(part, (*parts, key), modules) for key, part in x.items()}
    if not isinstance(x, eqx.Module) or _is_index(x):
        return x
    path, cls = path_of(parts), type(x)
    calls = callable(x) and not hasattr(x, "__wrapped__")
    if calls:
        modules[path] = Module(cls.__name__, settings(vars(x)))
    new = object.__new__(labelled_class(cls, path, eqx.Module, OPAQUE) if calls else cls)
    statics = {field.name for field in dataclasses.fields(x) if field.metadata.get("static")}
    for name, value in vars(x).items():
        placed = value if name in statics else _labelled(value, (*parts, name), modules)
        object.__setattr__(new, name, placed)
    return new


def _states(state: Any, leaves: list[tuple[str, Any]]) -> dict[str, Any]:
    """Floating-point arrays of a state, by the path of what refers to them."""
    found = {}
    for path, index in leaves:
        if state is not None and _is_index(index):
            for keys, x in jax.tree_util.tree_flatten_with_path(state.get(index))[0]:
                if _is_number(x):
                    found[path + _below(keys)] = x
    return found


def _below(keys: tuple[Any, ...]) -> str:
    below = path_of(_name(key) for key in keys)
    return below if not below or below.startswith("[") else f".{below}"


def _updated(
    state: Any, leaves: list[tuple[str, Any]], buffers: Mapping[str, Any], other: Callable[[Any], Any]
) -> Any:
    """A copy of a state with other values, in their own dtype: `State.set` would not change it. `other` makes the rest."""
    new: dict[int, Any] = {}
    for path, index in leaves:
        if _is_index(index):
            entries = jax.tree_util.tree_flatten_with_path(state.get(index))[0]
            named = {path + _below(keys): x for keys, x in entries}
            new.update({id(x): buffers[name] for name, x in named.items() if name in buffers})
    kept, treedef = jax.tree.flatten(state)
    return jax.tree.unflatten(treedef, [new.get(id(x), other(x)) for x in kept])


def _counter(x: Any) -> Any:
    """A number as wide as integers of Python now are: `State.set` takes no other, and float64 widens them too."""
    return jnp.asarray(x.item()) if getattr(x, "weak_type", False) and not jnp.ndim(x) else x
