"""Modules of Flax as ports: NNX and linen."""

__all__ = ["LinenPort", "NnxPort", "flax_port_of"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.core import unfreeze

from gradproof.porting.port import Module
from gradproof.trees import Structure, flatten, leaves_by_path
from gradproof_jax_modules import labelled_class, path_of, public_methods, settings, shown
from gradproof_jax_port import JaxPort, Parts, copied


def flax_port_of(
    model: Any,
    variables: Any = None,
    *,
    call: Callable[..., Any] | None = None,
    loss: Callable[..., Any] | None = None,
) -> JaxPort:
    """A module of NNX, or one of linen with its variables."""
    if isinstance(model, nnx.Module):
        if variables is not None:
            raise TypeError("a module of NNX holds its own variables: flax_port(model)")
        return NnxPort(model, call=call, loss=loss)
    if isinstance(model, nn.Module):
        if variables is None:
            raise TypeError("a module of linen does not hold its variables: flax_port(model, variables)")
        return LinenPort(model, variables, call=call, loss=loss)
    raise TypeError(
        f"flax_port takes a module of NNX, or one of linen and its variables, not a {type(model).__name__}"
    )


class NnxPort(JaxPort):
    """A module of NNX, in the mode it is in. Runs work on copies: the caller's module never changes.

    Trained is what is an `nnx.Param`; other variables of floating-point numbers are buffers; the rest (states of random
    numbers, counters) is put in as it is, so that every run is the same.
    """

    framework = "flax"

    def __init__(
        self,
        model: nnx.Module,
        *,
        call: Callable[..., Any] | None = None,
        loss: Callable[..., Any] | None = None,
    ) -> None:
        clone = _clone(model)
        plain = nnx.graphdef(clone)
        modules = _label(clone)
        graphdef, *states = nnx.split(clone, nnx.Param, ...)
        params, rest = states
        trained, buffers = _floating(params), _floating(rest)

        def forward(parameters: dict[str, Any], held: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
            copy = nnx.merge(graphdef, _replaced(params, parameters), _replaced(rest, held))
            for _, part in nnx.iter_modules(copy) if _in_double(parameters) else ():
                _widen(part)
            output = copy(*inputs) if call is None else call(copy, *inputs)
            return output, _by_path(nnx.state(copy))

        def rebuilt(values: dict[str, Any]) -> nnx.Module:
            made: nnx.Module = nnx.merge(plain, *(_replaced(jax.tree.map(copied, x), values) for x in states))
            return made

        shared = _shared(model, {**trained, **buffers})
        super().__init__(Parts(trained, buffers, forward, rebuilt, modules, shared), loss)


def _clone(model: nnx.Module) -> nnx.Module:
    graphdef, state = nnx.split(model)
    copy: nnx.Module = nnx.merge(graphdef, state)
    return copy


def _label(model: nnx.Module) -> dict[str, Module]:
    """Give every module inside a class that shows what it takes and returns; kinds and settings by path."""
    found = {}
    for parts, module in list(nnx.iter_modules(model)):
        if not callable(module) and parts:
            continue
        path = path_of(parts)
        found[path] = Module(type(module).__name__, settings(vars(module)))
        object.__setattr__(module, "__class__", labelled_class(type(module), path, nnx.Module, OPAQUE))
    return found


OPAQUE = (nnx.Module, nnx.State, nnx.Variable, nn.Module)
"""Containers whose arrays are not values on their way."""


def _entries(state: Any) -> list[tuple[str, Any]]:
    flat = jax.tree_util.tree_flatten_with_path(state)[0]
    return [(path_of(_parts(keys)), leaf) for keys, leaf in flat]


def _parts(keys: tuple[Any, ...]) -> list[Any]:
    """Entries of a path; the last step, from a variable to its value, is left out."""
    names = [getattr(key, "key", getattr(key, "name", getattr(key, "idx", None))) for key in keys]
    steps = [i for i, key in enumerate(keys) if getattr(key, "name", None) == "value"]
    return [name for i, name in enumerate(names) if i not in steps]


def _by_path(state: Any) -> dict[str, Any]:
    return dict(_entries(state))


def _floating(state: Any) -> dict[str, Any]:
    return {
        path: x
        for path, x in _entries(state)
        if isinstance(x, jax.Array | np.ndarray) and jnp.issubdtype(x.dtype, jnp.floating)
    }


def _replaced(state: Any, values: Mapping[str, Any]) -> Any:
    leaves = [values.get(path, leaf) for path, leaf in _entries(state)]
    return jax.tree.unflatten(jax.tree.structure(state), leaves)


def _shared(model: nnx.Module, known: Mapping[str, Any]) -> dict[str, str]:
    shared = {}
    for paths in nnx.find_duplicates(model):
        names = [path_of(parts) for parts in paths]
        for leaf in known:
            of = next(
                (name for name in names if leaf == name or leaf.startswith((f"{name}.", f"{name}["))), None
            )
            if of is not None:
                shared.update({name + leaf.removeprefix(of): leaf for name in names if name != of})
    return shared


def _in_double(parameters: Mapping[str, Any]) -> bool:
    return any(x.dtype == jnp.float64 for x in parameters.values())


def _widen(module: Any) -> None:
    """Parameters are float64 in this run: what a module makes in their dtype (the carry of a recurrent cell) is as well.

    So is what it computes in float32: some modules (Embed, MultiHeadAttention) write the parameters' dtype down as their own
    when they are made. A shorter one (bfloat16) somebody chose.
    """
    if getattr(module, "param_dtype", None) is not None:
        object.__setattr__(module, "param_dtype", jnp.float64)
    if getattr(module, "dtype", None) is not None and jnp.dtype(module.dtype) == jnp.float32:
        object.__setattr__(module, "dtype", jnp.float64)


class LinenPort(JaxPort):
    """A module of linen with its variables. The collection "params" is trained, all other floats are buffers.

    `call(module, variables, *inputs)` may return what `apply(…, mutable=[…])` does, `(output, updated)`: a dict of
    collections in the second place is what the buffers are after the run. Modules are known from the first run on.
    """

    framework = "flax"

    def __init__(
        self,
        model: nn.Module,
        variables: Any,
        *,
        call: Callable[..., Any] | None = None,
        loss: Callable[..., Any] | None = None,
    ) -> None:
        if not isinstance(variables, Mapping) or "params" not in variables:
            raise TypeError("variables are what model.init(…) returned, a dict with the collection 'params'")
        boxed = unfreeze(dict(variables))
        collections = _collections(nn.meta.unbox(boxed))
        modules = {"": Module(type(model).__name__, _fields(model))}

        def tree_of(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name: collection.filled(values) for name, collection in collections.items()}

        def rebuilt(values: dict[str, Any]) -> Any:
            return nn.meta.replace_boxed(boxed, jax.tree.map(copied, tree_of(values)))

        def forward(parameters: dict[str, Any], held: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
            tree = tree_of({**parameters, **held})
            with nn.intercept_methods(_Watch(modules, double=_in_double(parameters))):
                returned = model.apply(tree, *inputs) if call is None else call(model, tree, *inputs)
            output, updated = _parted(returned, collections)
            after = [collections[name].named(tree) for name, tree in updated.items() if name in collections]
            return output, {**held, **dict(pair for found in after for pair in found.items())}

        trained = collections["params"].floats
        rest = [collection.floats for name, collection in collections.items() if name != "params"]
        buffers = dict(pair for found in rest for pair in found.items())
        super().__init__(Parts(trained, buffers, forward, rebuilt, modules), loss)


@dataclass(frozen=True)
class _Collection:
    """One collection of variables."""

    leaves: tuple[Any, ...]
    structure: Structure
    names: tuple[str, ...]
    """Of the leaves, in the port."""

    @property
    def floats(self) -> dict[str, Any]:
        """Floating-point leaves by name."""
        named = zip(self.names, self.leaves, strict=True)
        return {name: x for name, x in named if jnp.issubdtype(x.dtype, jnp.floating)}

    def filled(self, values: Mapping[str, Any]) -> Any:
        """The tree with other values."""
        return self.structure.unflatten(
            values.get(name, x) for name, x in zip(self.names, self.leaves, strict=True)
        )

    def named(self, tree: Any) -> dict[str, Any]:
        """Leaves of another tree of this structure, by name."""
        found = leaves_by_path(nn.meta.unbox(unfreeze(tree)))
        return {
            name: found[path]
            for name, path in zip(self.names, self.structure.paths, strict=True)
            if path in found
        }


def _collections(variables: Mapping[str, Any]) -> dict[str, _Collection]:
    """By name, "params" first, whose paths are not to be taken by others."""
    found: dict[str, _Collection] = {}
    taken: set[str] = set()
    for name in sorted(variables, key=lambda name: name != "params"):
        leaves, structure = flatten(variables[name])
        names = tuple(path if path not in taken else f"{name}.{path}" for path in structure.paths)
        taken.update(names)
        found[name] = _Collection(tuple(leaves), structure, names)
    return found


def _parted(returned: Any, collections: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Output, and the collections that `apply` updated."""
    if type(returned) is tuple and len(returned) == 2 and isinstance(returned[1], Mapping):
        known = {*collections, "intermediates", "perturbations"} - {"params"}
        if returned[1].keys() <= known:
            return returned
    return returned, {}


class _Watch:
    """An interceptor of linen's: calls of modules, and their other public methods."""

    def __init__(self, modules: dict[str, Module], *, double: bool) -> None:
        self._modules = modules
        self._double = double
        self._inside: list[tuple[str, str]] = []

    def __call__(self, following: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        """One call."""
        module, name = context.module, context.method_name
        place = path_of(module.path), name
        if name not in public_methods(type(module), nn.Module) or place in self._inside:
            return following(*args, **kwargs)  # by super(): it is the same call
        for part in (module, *vars(module).values()) if self._double else ():
            if isinstance(part, nn.Module) and part.scope is not None:  # bound: a copy of the caller's
                _widen(part)
        kind = type(module).__name__
        self._modules[place[0]] = Module(kind, _fields(module))
        self._inside.append(place)
        try:
            return shown(following, args, kwargs, place[0], name, kind, OPAQUE)
        finally:
            self._inside.pop()


def _fields(module: nn.Module) -> dict[str, Any]:
    found = settings(vars(module))
    return {name: value for name, value in found.items() if name not in ("parent", "name", "param_dtype")}
