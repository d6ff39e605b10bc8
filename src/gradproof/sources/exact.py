"""Sources that compute a whole gradient: the caller's own code, and the frameworks' automatic derivatives.

Each is asked through one method, `ask(leaves, cotangent)`: fresh arrays go in, host arrays come out. The numeric
source, which knows slopes along probes only, lives in `numeric`.
"""

__all__ = ["Answer", "Autodiff", "Hand", "Source", "with_note"]

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from time import perf_counter
from typing import Any, NamedTuple, final

import numpy as np

from gradproof.arrays import Array, HostArray
from gradproof.numeric.sampling import to_outputs
from gradproof.point import UNIT_ROUNDOFF, Placement
from gradproof.sources.claim import Claim, Function
from gradproof.sources.contracts import ContractBroken, changed, claimed_leaves, fingerprint


class Answer(NamedTuple):
    """What a source says at one point, on the host."""

    value: HostArray | None
    """Of the function, float64, shape of its output; None where a claim states the gradient alone."""
    gradient: list[HostArray]
    """One array per leaf, float64: for a function of an array, the cotangent pulled back."""


class Source(ABC):
    """A gradient that is computed, not estimated. Counts what it costs."""

    def __init__(self, name: str, fun: Function, placement: Placement) -> None:
        self.name = name
        self.fun = fun
        self.placement = placement
        self.calls = 0
        self.seconds = 0.0
        self._strided = False
        self.dtype = ""
        """Of what it returned last, where it returns a value."""

    @final
    def ask(self, leaves: Iterable[HostArray], cotangent: HostArray, *, strided: bool = False) -> Answer:
        """Value and gradient at `leaves`; the cotangent (shape of the output) is 1.0 for a scalar function.

        `strided` hands the cotangent over as every second element of a larger array.

        Raises what the function raises, and ContractBroken for a claim that cannot be compared.
        """
        with self._measured():
            self._strided = strided
            return self._ask(leaves, cotangent)

    @final
    def ask_in_double(self, cotangent: HostArray) -> Answer:
        """The same code's answer at the point in float64: how far off rounding has taken its own."""
        twin, point = copy(self), self.placement.point
        twin.placement = Placement(point, self.placement.backend, double=True)
        self.calls += 1
        return twin.ask(point.leaves, cotangent)

    @final
    def push(self, leaves: Iterable[HostArray], tangents: Iterable[HostArray]) -> HostArray:
        """Derivative of the output along `tangents`, shape of the output."""
        with self._measured():
            return self._push(self.placement.arrays(leaves), self.placement.arrays(tangents))

    @abstractmethod
    def _ask(self, leaves: Iterable[HostArray], cotangent: HostArray) -> Answer: ...

    @abstractmethod
    def _push(self, primals: list[Array], tangents: list[Array]) -> HostArray: ...

    @contextmanager
    def _measured(self) -> Iterator[None]:
        self.calls += 1
        start = perf_counter()
        try:
            with self.placement.context():
                yield
        finally:
            self.seconds += perf_counter() - start

    @property
    def unit_roundoff(self) -> float:
        """Of the coarser of its parameters and its result."""
        return max(self.placement.unit_roundoff, UNIT_ROUNDOFF.get(self.dtype, 0.0))

    @property
    def takes_cotangent(self) -> bool:
        """Whether the gradient is pulled back from a cotangent, so that it has to be linear in it."""
        return True

    def _cotangent(self, cotangent: HostArray, dtype: str, device: Any) -> Array:
        backend = self.placement.backend
        if self._strided and cotangent.ndim:
            return backend.from_numpy(np.repeat(cotangent, 2, axis=-1), dtype=dtype, device=device)[..., ::2]
        return backend.from_numpy(cotangent, dtype=dtype, device=device)

    def _tree(self, arrays: Sequence[Array]) -> Any:
        return self.placement.point.structure.unflatten(arrays)


class Autodiff(Source):
    """A framework's own derivative of `fun`."""

    def _ask(self, leaves: Iterable[HostArray], cotangent: HostArray) -> Answer:
        backend = self.placement.backend
        result, pull = backend.vjp(self.placement.bind(self.fun), self.placement.arrays(leaves))
        value, dtype = to_outputs(result)
        self.dtype = dtype
        if value.shape != cotangent.shape:
            return Answer(value, [])  # another function: its value is compared first, and nothing after that
        grads = pull(self._cotangent(cotangent, dtype, getattr(result, "device", None)))
        return Answer(value, [backend.to_numpy(grad).astype(np.float64, copy=False) for grad in grads])

    def _push(self, primals: list[Array], tangents: list[Array]) -> HostArray:
        return to_outputs(self.placement.backend.jvp(self.placement.bind(self.fun), primals, tangents)[1])[0]


class Hand(Source):
    """The caller's claim, in the caller's own precision.

    `fun` is called before every `grad` or `vjp`, as a training loop would: a backward pass may rely on what the
    forward pass at the same point left behind. Once it was seen that the claim `keeps_nothing`, it is spared that.
    """

    def __init__(self, claim: Claim, fun: Function | None, placement: Placement) -> None:
        super().__init__("hand", fun or _nothing, placement)
        self.claim = claim
        self.uses_forward = fun is not None and claim.value_and_grad is None
        self.keeps_nothing = False
        """Whether its answer was the same to the last bit after `fun` had been evaluated elsewhere."""

    @property
    def takes_cotangent(self) -> bool:
        """Whether the claim is a vjp."""
        return self.claim.vjp is not None

    def ask_late(
        self, leaves: Iterable[HostArray], elsewhere: Iterable[HostArray], cotangent: HostArray
    ) -> Answer:
        """The same as `ask(leaves, cotangent)`, but the function was evaluated `elsewhere` last."""
        with self._measured():
            return self._ask(leaves, cotangent, forward_at=elsewhere)

    def _ask(
        self, leaves: Iterable[HostArray], cotangent: HostArray, forward_at: Iterable[HostArray] | None = None
    ) -> Answer:
        if self.claim.value_and_grad is None and not self.keeps_nothing:
            self._run_forward(leaves if forward_at is None else forward_at)
        arrays = self.placement.arrays(leaves)
        before = [fingerprint(array) for array in arrays]
        value, tree = self._claimed(arrays, cotangent)
        if findings := changed(self.name, self.placement.point, arrays, before):
            raise ContractBroken(findings)
        arrays.clear()  # the gradient may be large
        gradient = claimed_leaves(self.name, tree, self.placement)
        return Answer(value, [leaf.astype(np.float64, copy=False) for leaf in gradient])

    def _run_forward(self, leaves: Iterable[HostArray]) -> None:
        arrays, args = self.placement.arrays(leaves), self.placement.args
        with_note("fun, called before the claim", lambda: self.fun(self._tree(arrays), *args))

    def _claimed(self, arrays: list[Array], cotangent: HostArray) -> tuple[HostArray | None, Any]:
        params, args = self._tree(arrays), self.placement.args
        if self.claim.value_and_grad is not None:
            return _pair(self.claim.value_and_grad(params, *args))
        if self.claim.vjp is not None:
            dtype, device = self.placement.dtypes[0], self.placement.point.devices[0]
            pulled = self._cotangent(cotangent, dtype, device)
            return None, self.claim.vjp(pulled, params, *args)
        return None, self.claim.grad(params, *args)  # type: ignore[misc]  # Claim has one of the three

    def _push(self, primals: list[Array], tangents: list[Array]) -> HostArray:
        before = [fingerprint(array) for array in primals]
        tangent = self.claim.jvp(self._tree(tangents), self._tree(primals), *self.placement.args)  # type: ignore[misc]
        if findings := changed(self.name, self.placement.point, primals, before):
            raise ContractBroken(findings)
        return to_outputs(tangent, "jvp")[0]


def _pair(answer: Any) -> tuple[HostArray, Any]:
    """Value and gradient of what a value_and_grad returned. Raises TypeError unless it is a pair."""
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise TypeError(f"value_and_grad returned a {type(answer).__name__}; due: the pair (value, gradient)")
    return to_outputs(answer[0], "value_and_grad")[0], answer[1]


def with_note(what: str, call: Callable[[], Any]) -> Any:
    """Result of `call`; an exception passes through, with a note that says what raised it."""
    try:
        return call()
    except Exception as error:
        if not any(note.startswith("gradproof:") for note in getattr(error, "__notes__", ())):
            error.add_note(f"gradproof: raised by {what}")
        raise


def _nothing(*_: Any) -> None:
    """Stands for a function that is not written in the caller's framework."""
