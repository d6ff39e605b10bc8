"""JAX as a backend. float64 is switched on for the calling thread only, inside `double_precision`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradproof.backend import Backend


class JaxBackend:
    """Arrays of JAX."""

    name = "jax"
    package = "jax"
    differentiates = True

    def owns(self, x: object, /) -> bool:
        """Whether `x` is a jax.Array (a tracer is one)."""
        return isinstance(x, jax.Array)

    def from_numpy(self, x: Any, /, *, dtype: str, device: Any = None) -> Any:
        """Copy of `x`; float64 becomes float32 outside `double_precision`, as everywhere in JAX."""
        host = np.array(x, dtype=jax.dtypes.canonicalize_dtype(jnp.dtype(dtype)), copy=True)
        return jax.device_put(host, device, may_alias=False)

    def to_numpy(self, x: Any, /) -> Any:
        """Copy of `x`; bfloat16 comes as float32."""
        widened = x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
        return np.array(widened, copy=True)

    def vjp(
        self, fun: Callable[..., Any], primals: Sequence[Any], /
    ) -> tuple[Any, Callable[[Any], Sequence[Any]]]:
        """`jax.vjp`."""
        value, pull = jax.vjp(fun, *primals)
        return value, pull

    def jvp(
        self, fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], /
    ) -> tuple[Any, Any]:
        """`jax.jvp`."""
        value, tangent = jax.jvp(fun, tuple(primals), tuple(tangents))
        return value, tangent

    def vectorize(self, fun: Callable[..., Any], /) -> Callable[..., Any] | None:
        """`jax.vmap`."""
        return jax.vmap(fun)

    def compiled(self, fun: Callable[..., Any], /) -> Callable[..., Any]:
        """`jax.jit`."""
        return jax.jit(fun)

    def double_precision(self) -> AbstractContextManager[object]:
        """`jax_enable_x64` for this thread."""
        switch: AbstractContextManager[object] = jax.enable_x64(True)
        return switch


backend: Backend = JaxBackend()
