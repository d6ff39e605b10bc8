"""Other gradient checkers, at their defaults, on PyTorch's gradient of a case with a mistake made in it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import autograd.extend
import autograd.test_util
import jax.test_util
import numpy as np
import scipy.optimize
import torch

from operators import Case

LARGEST = 200
"""Parameters or outputs of a case beyond which peers do not judge it: slow gradcheck takes 2n + m passes a claim."""

SCIPY_BOUND = 1e-5
"""SciPy returns ‖claim − forward difference‖₂ and states no bound on it; its own tests use 5e-7. Accepted here up to
1e-5 · max(1, ‖claim‖₂), well above its error of 1.5e-8 · ‖f″‖ on functions of moderate curvature."""


@dataclass(frozen=True)
class Claim:
    """PyTorch's gradient of a case with a mistake made in every vector-Jacobian product."""

    case: Case
    mistake: Callable[[np.ndarray], np.ndarray]

    def value(self, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """The function on the host, in its own precision; bfloat16, which NumPy has not, as float32."""
        value = self.case.fun(self.tensors(leaves)).detach()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy(force=True)

    def pull(self, leaves: Sequence[np.ndarray], cotangent: np.ndarray) -> list[np.ndarray]:
        """The claimed gradient on the host, one array per leaf."""
        flat = self.mistake(self.case.pull(self.tensors(leaves), torch.as_tensor(np.asarray(cotangent))))
        return [
            part.reshape(leaf.shape).astype(leaf.dtype)
            for part, leaf in zip(self.cut(flat), leaves, strict=True)
        ]

    def tensors(self, leaves: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """The leaves as the case's parameters."""
        return [
            torch.tensor(leaf, dtype=p.dtype).reshape(p.shape)
            for leaf, p in zip(leaves, self.case.params, strict=True)
        ]

    def cut(self, flat: np.ndarray) -> list[np.ndarray]:
        """A flat array as one flat array per leaf."""
        return np.split(flat, np.cumsum([p.numel() for p in self.case.params])[:-1])

    @property
    def leaves(self) -> list[np.ndarray]:
        """The point."""
        return [p.numpy().copy() for p in self.case.params]

    @property
    def flat(self) -> np.ndarray:
        """The point as one vector, in the case's own precision."""
        return np.concatenate([leaf.reshape(-1) for leaf in self.leaves])


class _Claimed(torch.autograd.Function):
    """A claim as PyTorch's users register one."""

    @staticmethod
    def forward(ctx: Any, claim: Claim, *params: torch.Tensor) -> torch.Tensor:
        ctx.claim = claim
        ctx.save_for_backward(*params)
        return claim.case.fun([p.detach() for p in params]).detach().clone()

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        params, claim = ctx.saved_tensors, ctx.claim
        parts = claim.cut(claim.mistake(claim.case.pull(params, cotangent)))
        grads = [
            torch.as_tensor(g, dtype=p.dtype).reshape(p.shape) for g, p in zip(parts, params, strict=True)
        ]
        return (None, *grads)


def torch_gradcheck(claim: Claim, *, fast_mode: bool) -> bool:
    """`torch.autograd.gradcheck`."""
    inputs = [p.clone().requires_grad_() for p in claim.case.params]
    return torch.autograd.gradcheck(
        lambda *params: _Claimed.apply(claim, *params), inputs, fast_mode=fast_mode, raise_exception=False
    )


def jax_check_vjp(claim: Claim) -> bool:
    """`jax.test_util.check_vjp`, the reverse half of `check_grads`: one direction, always the same."""

    def f(*leaves: np.ndarray) -> np.ndarray:
        return claim.value(leaves)

    def f_vjp(*leaves: np.ndarray) -> Any:
        return f(*leaves), lambda cotangent: tuple(claim.pull(leaves, cotangent))

    return _passes(lambda: jax.test_util.check_vjp(f, f_vjp, tuple(claim.leaves)))


def scipy_check_grad(claim: Claim) -> bool:
    """`scipy.optimize.check_grad` on a weighted sum of the outputs, compared as users do: see SCIPY_BOUND."""
    cotangent = claim.case.cotangent(np.random.default_rng(0)).numpy()

    def f(x: np.ndarray) -> float:
        return float(np.vdot(cotangent, claim.value(claim.cut(x)).astype(np.float64)))

    def grad(x: np.ndarray) -> np.ndarray:
        return np.concatenate(claim.pull(claim.cut(x), cotangent))

    x = claim.flat.astype(np.float64)
    return bool(
        scipy.optimize.check_grad(f, grad, x) <= SCIPY_BOUND * max(1.0, float(np.linalg.norm(grad(x))))
    )


def autograd_check_grads(claim: Claim) -> bool:
    """`autograd.test_util.check_grads`, first order, reverse mode, on a primitive of one vector."""

    @autograd.extend.primitive
    def f(x: np.ndarray) -> np.ndarray:
        return claim.value(claim.cut(x))

    def vjp(answer: Any, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda cotangent: np.concatenate(claim.pull(claim.cut(x), cotangent))

    autograd.extend.defvjp(f, vjp)
    np.random.seed(0)  # the direction is drawn from NumPy's global generator: the same one for all mistakes
    return _passes(lambda: autograd.test_util.check_grads(f, modes=["rev"], order=1)(claim.flat))


PEERS: dict[str, Callable[[Claim], bool]] = {
    "torch gradcheck, slow": partial(torch_gradcheck, fast_mode=False),
    "torch gradcheck, fast": partial(torch_gradcheck, fast_mode=True),
    "jax check_vjp": jax_check_vjp,
    "scipy check_grad": scipy_check_grad,
    "autograd check_grads": autograd_check_grads,
}


def accepts(peer: str, case: Case, mistake: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether a peer lets the claim pass. Raises what the peer raises instead of a verdict."""
    with warnings.catch_warnings(), jax.enable_x64(True), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return PEERS[peer](Claim(case, mistake))


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except AssertionError:
        return False
    return True
