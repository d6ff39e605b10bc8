"""Other gradient checkers on the network, at their defaults: each says whether it accepts the gradient."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import autograd.extend
import autograd.test_util
import jax
import jax.test_util
import numdifftools
import numpy as np
import scipy.optimize
import torch
from torch.autograd.gradcheck import GradcheckError

from gradproof.numeric import central_difference
from speed_ground import (
    Budget,
    Change,
    Enough,
    Ground,
    autograd_loss,
    jax_loss,
    layers_of,
    leaves_of,
    same,
    torch_loss,
)  # fmt: skip
from speed_names import APPROX, AUTOGRAD, CHECK_GRAD, FAST, JAX, LOOP, NUMDIFFTOOLS, SLOW

COURSE_BOUND = 1e-9
"""The course asks for a relative difference below this."""

SCIPY_BOUND = 1e-5
"""SciPy returns a norm and states no bound on it: the one of `peers.py`, times max(1, ‖claim‖)."""

LARGEST_IDENTITY = 20_000
"""Parameters beyond which numdifftools, which makes a matrix of parameters × parameters, is not run."""


@dataclass(frozen=True)
class Peer:
    """One checker, and how many evaluations it makes of a function with n parameters; None: a few, whatever n is."""

    accepts: Callable[[Ground, Change, Budget], bool]
    evaluations: Callable[[int], int] | None = None
    largest: float = float("inf")

    def total(self, size: int) -> int | None:
        """Evaluations of a whole call."""
        return self.evaluations(size) if self.evaluations else None


def course(ground: Ground, change: Change, budget: Budget) -> bool:
    """The course's loop, then its relative difference."""
    numeric = central_difference(ground.flat_value(budget), ground.theta)
    return _course_accepts(numeric, ground.flat_claim(change)(ground.theta))


def _course_accepts(numeric: np.ndarray, claim: np.ndarray) -> bool:
    return bool(np.linalg.norm(numeric - claim) < COURSE_BOUND * np.linalg.norm(numeric + claim))


def scipy_check_grad(ground: Ground, change: Change, budget: Budget) -> bool:
    """`scipy.optimize.check_grad`."""
    claim = ground.flat_claim(change)
    error = scipy.optimize.check_grad(ground.flat_value(budget), claim, ground.theta)
    return _scipy_accepts(error, claim(ground.theta))


def _scipy_accepts(error: float, claim: np.ndarray) -> bool:
    return bool(error <= SCIPY_BOUND * max(1.0, float(np.linalg.norm(claim))))


def scipy_approx_fprime(ground: Ground, change: Change, budget: Budget) -> bool:
    """`scipy.optimize.approx_fprime`, and the norm of the difference."""
    numeric = scipy.optimize.approx_fprime(ground.theta, ground.flat_value(budget))
    claim = ground.flat_claim(change)(ground.theta)
    return _scipy_accepts(float(np.linalg.norm(numeric - claim)), claim)


def numdifftools_gradient(ground: Ground, change: Change, budget: Budget) -> bool:
    """`numdifftools.Gradient`, then NumPy's `allclose`."""
    numeric = numdifftools.Gradient(ground.flat_value(budget))(ground.theta)
    return bool(np.allclose(ground.flat_claim(change)(ground.theta), numeric))


class _Claimed(torch.autograd.Function):
    """The network with the gradient by hand, as PyTorch's users register one."""

    @staticmethod
    def forward(ctx: Any, ground: Ground, loss: Any, change: Change, *leaves: torch.Tensor) -> torch.Tensor:
        ctx.ground, ctx.change = ground, change
        ctx.save_for_backward(*leaves)
        return loss(*leaves)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, y, lam = ctx.ground.args
        layers = layers_of(ctx.saved_tensors)
        gradient = ctx.ground.network.gradient(layers, torch.asarray(x), torch.asarray(y), lam)
        if ctx.change is same:
            return (None, None, None, *(cotangent * leaf for leaf in leaves_of(gradient)))
        changed = ctx.change([leaf.numpy() for leaf in leaves_of(gradient)])
        return (None, None, None, *(cotangent * torch.asarray(leaf) for leaf in changed))


def torch_gradcheck(
    ground: Ground, change: Change, budget: Budget, *, fast_mode: bool = False, loss: Any = None
) -> bool:
    """`torch.autograd.gradcheck`."""
    inputs = [torch.asarray(leaf).clone().requires_grad_() for leaf in leaves_of(ground.params)]
    plain = loss or torch_loss(ground)

    def fun(*leaves: torch.Tensor) -> Any:
        budget.spend()
        return _Claimed.apply(ground, plain, change, *leaves)

    try:
        torch.autograd.gradcheck(fun, inputs, fast_mode=fast_mode)
    except GradcheckError:
        return False
    return True


def torch_fast(ground: Ground, change: Change, budget: Budget) -> bool:
    """Its fast mode."""
    return torch_gradcheck(ground, change, budget, fast_mode=True)


def jax_check_grads(ground: Ground, change: Change, budget: Budget) -> bool:
    """`jax.test_util.check_grads`, first order, forward and reverse, of JAX's own derivative; `check_vjp` of one by hand."""
    if change is same:
        fun = jax_loss(ground)
        return _passes(lambda: jax.test_util.check_grads(fun, (_jax_params(ground),), order=1))
    network, args, claim = ground.network, ground.args, ground.claim(change)

    def value(*leaves: Any) -> Any:
        return network.loss(layers_of([np.asarray(leaf) for leaf in leaves]), *args)

    def vjp(*leaves: Any) -> Any:
        layers = layers_of([np.asarray(leaf) for leaf in leaves])
        gradient = leaves_of(claim(layers, *args))
        return value(*leaves), lambda cotangent: tuple(np.asarray(cotangent) * leaf for leaf in gradient)

    return _passes(lambda: jax.test_util.check_vjp(value, vjp, tuple(leaves_of(ground.params))))


def _jax_params(ground: Ground) -> Any:
    return jax.tree.map(jax.numpy.asarray, ground.params)


def autograd_check_grads(ground: Ground, change: Change, budget: Budget) -> bool:
    """`autograd.test_util.check_grads`, first order, reverse mode."""
    if change is same:
        fun = autograd_loss(ground)
        return _passes(
            lambda: autograd.test_util.check_grads(fun, modes=["rev"], order=1)(*leaves_of(ground.params))
        )
    network, args, claim = ground.network, ground.args, ground.flat_claim(change)
    value = autograd.extend.primitive(lambda theta: network.loss(theta, *args))
    autograd.extend.defvjp(value, lambda answer, theta: lambda cotangent: cotangent * claim(theta))
    return _passes(lambda: autograd.test_util.check_grads(value, modes=["rev"], order=1)(ground.theta))


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except AssertionError:
        return False
    return True


PEERS: dict[str, Peer] = {
    LOOP: Peer(course, lambda n: 2 * n),
    CHECK_GRAD: Peer(scipy_check_grad, lambda n: n + 1),
    APPROX: Peer(scipy_approx_fprime, lambda n: n + 1),
    NUMDIFFTOOLS: Peer(numdifftools_gradient, lambda n: 30 * n + 1, LARGEST_IDENTITY),
    SLOW: Peer(torch_gradcheck, lambda n: 2 * n),
    FAST: Peer(torch_fast),
    JAX: Peer(jax_check_grads),
    AUTOGRAD: Peer(autograd_check_grads),
}


def stopped(peer: Peer, ground: Ground, change: Change, most: float) -> Budget:
    """Run it until `most` evaluations are spent."""
    budget = Budget(most)
    with suppress(Enough):
        peer.accepts(ground, change, budget)
    return budget


def warmed(peer: Peer, ground: Ground) -> None:
    """Call it once, or a little of it: what is compiled and cached then does not count. It has to accept."""
    total = peer.total(ground.size)
    if total and total > 1_500:
        stopped(peer, ground, same, 50)
    elif not peer.accepts(ground, same, Budget(np.inf)):
        raise SystemExit(f"{peer.accepts.__name__} refuses the right gradient: nothing was timed")


class Replay:
    """The peers' verdicts on one claim after the other. Those that take every coordinate see the same values of the
    function every time: they are computed once, and handed out again in the order in which they were asked for."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.right = ground.flat_claim()(ground.theta)

    @cached_property
    def loop(self) -> np.ndarray:
        """Central differences of the course."""
        return central_difference(self.ground.flat_value(Budget(np.inf)), self.ground.theta)

    @cached_property
    def forward(self) -> np.ndarray:
        """Forward differences of SciPy, as `check_grad` takes them."""
        return scipy.optimize.approx_fprime(self.ground.theta, self.ground.flat_value(Budget(np.inf)))

    @cached_property
    def many(self) -> np.ndarray:
        """The gradient by numdifftools."""
        return numdifftools.Gradient(self.ground.flat_value(Budget(np.inf)))(self.ground.theta)

    @cached_property
    def values(self) -> list[torch.Tensor]:
        """What the function returns to PyTorch's slow mode, call by call."""
        seen: list[torch.Tensor] = []
        plain = torch_loss(self.ground)

        def loss(*leaves: torch.Tensor) -> torch.Tensor:
            seen.append(plain(*leaves).detach().clone())
            return seen[-1].clone()

        torch_gradcheck(self.ground, same, Budget(np.inf), loss=loss)
        return seen

    def accepts(self, name: str, change: Change) -> bool:
        """Whether the peer accepts the claim."""
        ground = self.ground
        if name == SLOW:
            values = iter(self.values)
            return torch_gradcheck(ground, change, Budget(np.inf), loss=lambda *_: next(values).clone())
        if name not in (LOOP, CHECK_GRAD, NUMDIFFTOOLS):
            return _quietly(PEERS[name], ground, change)
        claim = ground.flat_claim(change)(ground.theta)
        if name == LOOP:
            return _course_accepts(self.loop, claim)
        if name == NUMDIFFTOOLS:
            return bool(np.allclose(claim, self.many))
        return _scipy_accepts(float(np.linalg.norm(self.forward - claim)), claim)


def _quietly(peer: Peer, ground: Ground, change: Change) -> bool:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return peer.accepts(ground, change, Budget(np.inf))
