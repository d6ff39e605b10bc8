"""How a network becomes a Port: `torch_port`, `flax_port`, `equinox_port`, `function_port`."""

__all__ = ["equinox_port", "flax_port", "function_port", "torch_port"]

from collections.abc import Callable
from importlib import import_module
from typing import Any

from gradproof.arrays import is_array
from gradproof.backend import backend_for
from gradproof.porting.port import Port
from gradproof.trees import flatten


def torch_port(
    module: Any, *, call: Callable[..., Any] | None = None, loss: Callable[..., Any] | None = None
) -> Port:
    """Port of a `torch.nn.Module`. It is never changed: what runs are copies, in the mode (train, eval) it is in.

    `call(module, *inputs)` runs it, where `module(*inputs)` is not what is meant; `loss(output, *targets)` is a scalar.
    Raises ImportError where PyTorch is missing, TypeError for what is no module.
    """
    made: Port = _adapter("torch").TorchPort(module, call=call, loss=loss)
    return made


def flax_port(
    model: Any,
    variables: Any = None,
    *,
    call: Callable[..., Any] | None = None,
    loss: Callable[..., Any] | None = None,
) -> Port:
    """Port of a Flax NNX module, or of a linen module with its `variables`.

    `call(model, *inputs)` runs it (of linen: `call(model, variables, *inputs)`), where `model(*inputs)`
    (`model.apply(variables, *inputs)`) is not what is meant; `loss(output, *targets)` is a scalar. Raises ImportError
    where Flax is missing, TypeError for what is no module.
    """
    made: Port = _adapter("flax").flax_port_of(model, variables, call=call, loss=loss)
    return made


def equinox_port(
    model: Any, *, call: Callable[..., Any] | None = None, loss: Callable[..., Any] | None = None
) -> Port:
    """Port of an `equinox.Module`.

    Equinox models take one example: `call=lambda model, x: jax.vmap(model)(x)` runs them on a batch. `loss(output,
    *targets)` is a scalar. Raises ImportError where Equinox is missing, TypeError for what is no module.
    """
    made: Port = _adapter("equinox").EquinoxPort(model, call=call, loss=loss)
    return made


def function_port(
    fun: Callable[..., Any],
    params: Any,
    *,
    vjp: Callable[..., Any] | None = None,
    loss: Callable[..., Any] | None = None,
    loss_grad: Callable[..., Any] | None = None,
    buffers: Any = None,
) -> Port:
    """Port of a plain function `fun(params, *inputs)`, in the framework that owns `params`.

    Values on its way are seen where it calls `tap(name, x)`. Torch and JAX differentiate it; over arrays of any other
    namespace `vjp(params, *inputs, cotangent)` is the backward pass written by hand, whose own way is seen where it
    calls `tap_cotangent(name, g)`. `loss(output, *targets)` is a scalar; over arrays of another namespace
    `loss_grad(output, *targets)` is its gradient. Raises BackendError for params that nobody owns.
    """
    leaves = [leaf for leaf in flatten(params)[0] if is_array(leaf)]
    owner = backend_for(leaves[0]).name if leaves else "numpy"
    if owner not in ("torch", "jax"):
        from gradproof.porting.functions import NumpyFunctionPort  # noqa: PLC0415 -- ports are loaded when asked for

        return NumpyFunctionPort(fun, params, vjp=vjp, loss=loss, loss_grad=loss_grad, buffers=buffers)
    given = [name for name, hand in (("vjp", vjp), ("loss_grad", loss_grad)) if hand is not None]
    if given:
        raise TypeError(f"{owner} differentiates the function itself: leave out {' and '.join(given)}")
    kind = "TorchFunctionPort" if owner == "torch" else "JaxFunctionPort"
    made: Port = getattr(_adapter(owner), kind)(fun, params, loss=loss, buffers=buffers)
    return made


def _adapter(framework: str) -> Any:
    try:
        return import_module(f"gradproof_{framework}_port")
    except ImportError as error:
        raise ImportError(
            f'a port of {framework} needs it installed: pip install "gradproof[{_EXTRA[framework]}]" ({error})'
        ) from error


_EXTRA = {"torch": "torch", "jax": "jax", "flax": "flax", "equinox": "equinox"}
