"""What a backend has to keep, as a suite that ours and a stranger's pass alike.

The functions here use nothing but +, *, / and @, which arrays of every framework have.
"""

__all__ = ["conformance"]

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array, namespace
from gradproof.backend import Backend

Clause = Callable[[Backend], Iterator[str]]

_X = np.array([0.5, -1.25, 3.0, 0.1])
_Y = np.array([2.0, 0.75, -0.5, 1.5])
_W = np.array([1.5, -0.25, 2.0, 0.5])


def conformance(backend: Backend) -> tuple[str, ...]:
    """Every clause that `backend` breaks, as a sentence; empty if it conforms.

    A backend whose `differentiates` is False is asked for its arrays only.
    """
    clauses: list[Clause] = [_facts, _ownership, _exact_copies, _no_aliasing, _forms]
    clauses += (
        [_vjp, _vjp_of_an_array, _jvp, _products_agree, _vectorized, _purity]
        if backend.differentiates
        else [_refuses]
    )
    return (
        # First and outside double_precision: what it leaves behind would not show once it was entered.
        *_run(_precision_is_restored, backend, nullcontext),
        *(message for clause in clauses for message in _run(clause, backend, backend.double_precision)),
    )


def _run(
    clause: Clause, backend: Backend, context: Callable[[], AbstractContextManager[object]]
) -> Iterator[str]:
    name = clause.__name__.strip("_").replace("_", " ")
    try:
        with context():
            yield from (f"{name}: {message}" for message in clause(backend))
    except Exception as error:
        yield f"{name}: raised {type(error).__name__}: {error}"


def _facts(backend: Backend) -> Iterator[str]:
    for fact in ("name", "package"):
        if not (isinstance(getattr(backend, fact), str) and getattr(backend, fact)):
            yield f"{fact} is a non-empty string; got {getattr(backend, fact)!r}"


def _ownership(backend: Backend) -> Iterator[str]:
    """One owner for every array: numpy's belong to numpy, also where a framework computes on them."""
    array = backend.from_numpy(_X, dtype="float64")
    if isinstance(array, np.ndarray) and backend.package != "numpy":
        if backend.owns(array):
            yield "it claims to own numpy's arrays: leave them to numpy, and own only what is your framework's"
    elif not backend.owns(array):
        yield "it does not own what its own from_numpy returned"
    for stranger in (object(), [1.0], 1.0, "array", None):
        if backend.owns(stranger):
            yield f"it claims to own {stranger!r}"


def _exact_copies(backend: Backend) -> Iterator[str]:
    special = np.array([0.0, -0.0, 1 / 3, np.inf, -np.inf, np.nan, 1e-30, 3e38])
    for dtype in ("float32", "float64"):
        host = special.astype(dtype)
        for make in filter(None, (backend.from_numpy, getattr(backend, "take", None))):
            back = backend.to_numpy(make(host.copy(), dtype=dtype))
            if back.dtype != host.dtype:
                yield f"{dtype} came back as {back.dtype}"
            elif back.tobytes() != host.tobytes():
                yield f"{dtype} {host} came back as {back}"


def _no_aliasing(backend: Backend) -> Iterator[str]:
    host = _aligned(_X)
    array = backend.from_numpy(host, dtype="float64")
    host[0] = 99.0
    if backend.to_numpy(array)[0] == 99.0:
        yield "from_numpy shares memory with its argument"
    out = backend.to_numpy(array)
    if not out.flags.writeable:
        yield "to_numpy returned an array that cannot be written to"
        return
    out[0] = 77.0
    if backend.to_numpy(array)[0] == 77.0:
        yield "to_numpy shares memory with its argument"


def _forms(backend: Backend) -> Iterator[str]:
    square = np.arange(6.0).reshape(2, 3)
    for form in (np.asarray(1.5), square, square.T, square[:, ::2], square[::-1]):
        back = backend.to_numpy(backend.from_numpy(form, dtype="float64"))
        if back.shape != form.shape or not np.array_equal(back, form):
            yield f"an array of shape {form.shape} and strides {form.strides} came back as {back.tolist()}"


def _precision_is_restored(backend: Backend) -> Iterator[str]:
    before = _precision(backend)
    with backend.double_precision():
        inside = _precision(backend)
        swallowed = not _fails_in_double_precision(backend)
        nested = _precision(backend)
    after = _precision(backend)
    _fails_in_double_precision(backend)
    failed = _precision(backend)
    if inside != ("float64", "float64"):
        yield f"inside double_precision float64 becomes {inside[0]} and 1.0 {inside[1]}"
    if swallowed:
        yield "double_precision swallowed an exception"
    for when, now, due in (
        ("after it", after, before),
        ("after an exception inside it", failed, before),
        ("after another one inside it", nested, inside),
    ):
        if now != due:
            yield f"{when} float64 becomes {now[0]} and 1.0 {now[1]}; due: {due[0]} and {due[1]}"


def _precision(backend: Backend) -> tuple[str, str]:
    """Dtypes that float64 and, where the arrays have a namespace, a Python float become."""
    array = backend.from_numpy(_X, dtype="float64")
    default = namespace(array).asarray(1.0) if is_array(array) else array
    return dtype_name(array), dtype_name(default)


def _fails_in_double_precision(backend: Backend) -> bool:
    """Whether an exception gets out of `double_precision`."""
    try:
        with backend.double_precision():
            raise KeyError
    except KeyError:
        return True
    return False


def _vjp(backend: Backend) -> Iterator[str]:
    x, y = _arrays(backend, _X, _Y)
    value, pull = backend.vjp(lambda a, b: (a * a) @ (a * b), (x, y))
    yield from _close("value", backend.to_numpy(value), np.asarray(np.sum(_X**3 * _Y)))
    for factor in (1.0, -2.5, 0.0):
        (cotangent,) = _arrays(backend, np.asarray(factor))
        first, second = (backend.to_numpy(g) for g in pull(cotangent))
        yield from _close(f"gradient for cotangent {factor}", first, factor * 3 * _X**2 * _Y)
        yield from _close(f"second gradient for cotangent {factor}", second, factor * _X**3)
    constant = backend.vjp(lambda a, b: a @ a, (x, y))[1](*_arrays(backend, np.asarray(1.0)))
    yield from _close("gradient of a parameter that is not used", backend.to_numpy(constant[1]), 0 * _Y)


def _vjp_of_an_array(backend: Backend) -> Iterator[str]:
    x, w = _arrays(backend, _X, _W)
    _, pull = backend.vjp(lambda a: a * a * a, (x,))
    yield from _close("pulled cotangent", backend.to_numpy(pull(w)[0]), 3 * _X**2 * _W)


def _jvp(backend: Backend) -> Iterator[str]:
    x, y, v, w = _arrays(backend, _X, _Y, _W, _X)
    value, tangent = backend.jvp(lambda a, b: a * b, (x, y), (v, w))
    yield from _close("value", backend.to_numpy(value), _X * _Y)
    yield from _close("pushed tangent", backend.to_numpy(tangent), _W * _Y + _X * _X)


def _products_agree(backend: Backend) -> Iterator[str]:
    x, v, w = _arrays(backend, _X, _Y, _W)

    def fun(a: Any) -> Any:
        return a / (1.0 + a * a)

    tangent = backend.to_numpy(backend.jvp(fun, (x,), (v,))[1])
    pulled = backend.to_numpy(backend.vjp(fun, (x,))[1](w)[0])
    yield from _close("⟨w, Jv⟩ against ⟨Jᵀw, v⟩", np.asarray(_W @ tangent), np.asarray(pulled @ _Y))


def _vectorized(backend: Backend) -> Iterator[str]:
    mapped = backend.vectorize(lambda a: a @ a)
    if mapped is not None:
        (rows,) = _arrays(backend, np.stack([_X, _Y]))
        yield from _close("row by row", backend.to_numpy(mapped(rows)), np.array([_X @ _X, _Y @ _Y]))


def _purity(backend: Backend) -> Iterator[str]:
    (x,) = _arrays(backend, _X)
    backend.vjp(lambda a: a @ a, (x,))[1](*_arrays(backend, np.asarray(1.0)))
    yield from _close("primal after vjp", backend.to_numpy(x), _X)

    def failing(_: Any) -> Any:
        raise ZeroDivisionError("as asked")

    try:
        backend.vjp(failing, (x,))
    except ZeroDivisionError:
        return
    yield "vjp swallowed the function's exception"


def _refuses(backend: Backend) -> Iterator[str]:
    (x,) = _arrays(backend, _X)
    for product in (
        lambda: backend.vjp(lambda a: a @ a, (x,)),
        lambda: backend.jvp(lambda a: a @ a, (x,), (x,)),
    ):
        try:
            product()
        except NotImplementedError:
            continue
        yield "it says that it does not differentiate, and does not raise NotImplementedError"


def _aligned(host: HostArray) -> HostArray:
    """Copy of float64 `host` that starts at a multiple of 64 bytes, where XLA shares memory if it may."""
    room = np.empty(host.size + 8)
    start = -(room.ctypes.data // 8) % 8
    copy = room[start : start + host.size]
    copy[:] = host
    return copy


def _arrays(backend: Backend, *hosts: HostArray) -> list[Any]:
    return [backend.from_numpy(host, dtype="float64") for host in hosts]


def _close(what: str, got: HostArray, due: HostArray) -> Iterator[str]:
    """Says so unless `got` has the shape of `due` and its values to 1e-14 of the largest."""
    if got.shape != due.shape:
        yield f"{what} has shape {got.shape}; due: {due.shape}"
    elif not np.max(np.abs(got - due), initial=0.0) <= 1e-14 * max(
        1.0, float(np.max(np.abs(due), initial=0.0))
    ):
        yield f"{what} is {got}; due: {due}"
