"""Modules of PyTorch as a port holds them: copies that a run may do with as it likes, described by path."""

__all__ = ["buffers_of", "described", "doubled", "own_copy", "shared_of", "trained_of"]

import copy
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

from gradproof.porting.port import Module


def own_copy(module: object) -> nn.Module:
    """A copy of `module` that shares nothing with it, out of the wrappers of `torch.compile` and of data parallelism.

    Raises TypeError for what is no module, ValueError for one that has no numbers yet, or none of its own.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"a torch.nn.Module is due, and a {type(module).__name__} came")
    bare = _unwrapped(module)
    _check(bare)
    # What was computed by an earlier call and kept as an attribute has a graph, which deepcopy refuses.
    kept = [x for part in bare.modules() for x in vars(part).values() if _is_computed(x)]
    twin = copy.deepcopy(bare, {id(x): x.detach().clone() for x in kept})
    for part in list(twin.modules()):
        for name, child in part._modules.items():
            if child is not None:
                part._modules[name] = _unwrapped(child)
    return twin


def doubled(module: nn.Module) -> nn.Module:
    """A copy of `module` in float64, tensors that are plain attributes included."""
    twin = copy.deepcopy(module).double()
    for part in twin.modules():
        for name, x in vars(part).items():
            if isinstance(x, Tensor) and x.is_floating_point():
                setattr(part, name, x.double())
    return twin


def trained_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters that are trained, by path; one that is shared by its first."""
    return {name: x for name, x in module.named_parameters() if x.requires_grad}


def buffers_of(module: nn.Module) -> dict[str, Tensor]:
    """Floating-point numbers that are not trained, by path: frozen parameters and buffers."""
    frozen = {name: x for name, x in module.named_parameters() if not x.requires_grad}
    return {**frozen, **{name: x for name, x in module.named_buffers() if x.is_floating_point()}}


def shared_of(module: nn.Module) -> dict[str, str]:
    """Other paths of parameters and buffers that have several, with their first."""
    first: dict[int, str] = {}
    every = (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    )
    return {name: first[id(x)] for name, x in every if first.setdefault(id(x), name) != name}


def described(module: nn.Module) -> dict[str, Module]:
    """Every module, by path."""
    return {name: Module(type(part).__name__, _settings(part)) for name, part in module.named_modules()}


def _settings(module: nn.Module) -> dict[str, Any]:
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return {name: _plain(value) for name, value in public.items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _plain(value: Any) -> Any:
    return tuple(_plain(item) for item in value) if isinstance(value, tuple) else value


def _unwrapped(module: nn.Module) -> nn.Module:
    """What `torch.compile`, DataParallel or DistributedDataParallel was given."""
    while True:
        compiled = module._modules.get("_orig_mod")
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif compiled is not None:
            module = compiled
        else:
            return module


def _check(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if is_parametrized(part):
            raise ValueError(
                f"{name or 'the module'!r} is parametrized, its parameters are not those of its layer: make them plain with"
                " torch.nn.utils.parametrize.remove_parametrizations"
            )
    for name, x in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(x):
            raise ValueError(
                f"{name!r} has no shape yet: call the module once on its inputs, then make the port"
            )
        if x.is_meta:
            raise ValueError(f"{name!r} is on the meta device and has no values: load the module first")
        if x.is_complex():
            raise TypeError(
                f"{name!r} is complex: complex numbers are not compared, split it into real parts"
            )


def _is_computed(x: object) -> bool:
    return isinstance(x, Tensor) and not x.is_leaf
