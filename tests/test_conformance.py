"""Our backends conform, and a backend that differs from them in one small way does not."""

from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace

import array_api_strict
import jax
import pytest
import torch

from fresh import python
from gradproof import conformance
from gradproof.backend import Backend, StandardBackend, load, names

JAX, NUMPY, TORCH = load("jax"), load("numpy"), load("torch")
STRICT = StandardBackend(array_api_strict)
MEMBERS = [name for name in dir(Backend) if not name.startswith("_")]


def varied(good, **changes):
    """Backend `good` with some members replaced."""
    return SimpleNamespace(**{name: getattr(good, name) for name in MEMBERS} | changes)


@pytest.mark.parametrize("name", names())
def test_a_registered_backend_conforms(name):
    assert conformance(load(name)) == ()


def test_any_namespace_of_the_standard_conforms():
    assert conformance(STRICT) == ()


@pytest.mark.parametrize("good", [JAX, NUMPY, TORCH, STRICT], ids=lambda backend: backend.name)
def test_an_unvaried_variation_conforms(good):
    assert conformance(varied(good)) == ()


def test_a_backend_that_cannot_vectorize_conforms():
    assert conformance(varied(TORCH, vectorize=lambda fun: None)) == ()


TORCH_CONFORMS = """
import json
from gradproof import backend, conformance
print(json.dumps(conformance(backend.load("torch"))))
"""


def test_torch_conforms_where_warnings_are_errors_and_forward_mode_was_never_used():
    assert python(TORCH_CONFORMS) == []


# Copies in and out


def aliasing(x, /, *, dtype, device=None):
    shared = torch.from_numpy(x if x.flags.c_contiguous else x.copy())
    return shared.to(getattr(torch, dtype))


def aliasing_where_aligned(x, /, *, dtype, device=None):
    return jax.device_put(x.astype(dtype, copy=False))


def aliasing_out(x, /):
    return x.detach().numpy()


def read_only(x, /):
    host = TORCH.to_numpy(x)
    host.flags.writeable = False
    return host


def transposing(x, /, *, dtype, device=None):
    return TORCH.from_numpy(x.T, dtype=dtype)


def flattening(x, /):
    return TORCH.to_numpy(x).reshape(-1)


def single_precision(x, /, *, dtype, device=None):
    return TORCH.from_numpy(x, dtype="float32").to(getattr(torch, dtype))


def losing_the_sign_of_zero(x, /, *, dtype, device=None):
    return TORCH.from_numpy(x, dtype=dtype) + 0.0


def ignoring_the_dtype(x, /, *, dtype, device=None):
    return TORCH.from_numpy(x, dtype="float64")


# Products


def pulling(pulled):
    """`vjp` whose pull is `pulled(pull, cotangent)`."""

    def vjp(fun, primals, /):
        value, pull = TORCH.vjp(fun, primals)
        return value, lambda cotangent: pulled(pull, cotangent)

    return vjp


def dropping_the_second_gradient(pull, cotangent):
    first, *rest = pull(cotangent)
    return [first, *map(torch.zeros_like, rest)]


def pushing(change):
    """`jvp` whose tangent is changed."""

    def jvp(fun, primals, tangents, /):
        value, tangent = TORCH.jvp(fun, primals, tangents)
        return value, change(tangent)

    return jvp


def pushing_the_first_tangent_only(fun, primals, tangents, /):
    first, *rest = tangents
    return TORCH.jvp(fun, primals, [first, *map(torch.zeros_like, rest)])


def pushing_by_differences(fun, primals, tangents, /):
    """Exact for a product of two parameters, so only the comparison of both products can tell."""
    ahead = fun(*(x + v for x, v in zip(primals, tangents, strict=True)))
    behind = fun(*(x - v for x, v in zip(primals, tangents, strict=True)))
    return fun(*primals), (ahead - behind) / 2


def valuing(change):
    """`vjp` whose value is changed."""

    def vjp(fun, primals, /):
        value, pull = TORCH.vjp(fun, primals)
        return change(value), pull

    return vjp


def once_only(fun, primals, /):
    leaves = [primal.detach().clone().requires_grad_(True) for primal in primals]
    value = fun(*leaves)
    return value.detach(), lambda cotangent: torch.autograd.grad(
        value, leaves, cotangent, materialize_grads=True
    )


def without_zeros(fun, primals, /):
    leaves = [primal.detach().clone().requires_grad_(True) for primal in primals]
    value = fun(*leaves)
    pull = lambda c: torch.autograd.grad(value, leaves, c, retain_graph=True, allow_unused=True)  # noqa: E731
    return value.detach(), pull


def swallowing_exceptions(fun, primals, /):
    try:
        return TORCH.vjp(fun, primals)
    except ArithmeticError:
        return torch.tensor(0.0), lambda cotangent: [torch.zeros_like(primal) for primal in primals]


def changing_the_primals(fun, primals, /):
    value, pull = TORCH.vjp(fun, primals)
    primals[0].mul_(2.0)
    return value, pull


# Contexts


def switching_on_for_ever():
    torch.set_default_dtype(torch.float64)
    return nullcontext()


def switching_jax_on_for_ever():
    jax.config.update("jax_enable_x64", True)
    return nullcontext()


@contextmanager
def forgetting_when_it_fails():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@contextmanager
def restoring_single_precision():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def swallowing():
    with suppress(Exception), TORCH.double_precision():
        yield


@pytest.fixture
def _switches_kept():
    """Some of the backends below leave a switch flipped: that is the point of them."""
    x64, default = jax.config.jax_enable_x64, torch.get_default_dtype()
    yield
    jax.config.update("jax_enable_x64", x64)
    torch.set_default_dtype(default)


BROKEN = {
    "has no name": (varied(TORCH, name=""), "facts: name is a non-empty string; got ''"),
    "has a package that is no string": (varied(TORCH, package=None), "facts: package is a non-empty"),
    "owns everything": (varied(TORCH, owns=lambda x: True), "ownership: it claims to own 'array'"),
    "owns nothing": (
        varied(TORCH, owns=lambda x: False),
        "ownership: it does not own what its own from_numpy",
    ),
    "owns numpy's arrays": (varied(NUMPY, package="autograd"), "ownership: it claims to own numpy's arrays"),
    "shares what comes in": (varied(TORCH, from_numpy=aliasing), "no aliasing: from_numpy shares"),
    "shares what comes in if aligned": (
        varied(JAX, from_numpy=aliasing_where_aligned),
        "no aliasing: from_numpy shares",
    ),
    "shares what goes out": (varied(TORCH, to_numpy=aliasing_out), "no aliasing: to_numpy shares"),
    "gives out read-only arrays": (
        varied(TORCH, to_numpy=read_only),
        "no aliasing: to_numpy returned an array that",
    ),
    "transposes": (varied(TORCH, from_numpy=transposing), r"forms: an array of shape (2, 3)"),
    "flattens": (varied(TORCH, to_numpy=flattening), "forms: an array of shape ()"),
    "computes in single precision": (varied(TORCH, from_numpy=single_precision), "exact copies: float64 ["),
    "loses the sign of zero": (varied(TORCH, from_numpy=losing_the_sign_of_zero), "exact copies: float32 ["),
    "ignores the dtype": (
        varied(TORCH, from_numpy=ignoring_the_dtype),
        "exact copies: float32 came back as float64",
    ),
    "gives a wrong value": (varied(TORCH, vjp=valuing(lambda value: 2 * value)), "vjp: value is"),
    "gives the value an axis": (
        varied(TORCH, vjp=valuing(lambda value: value[None])),
        "vjp: value has shape (1,); due: ()",
    ),
    "drops the second gradient": (
        varied(TORCH, vjp=pulling(dropping_the_second_gradient)),
        "vjp: second gradient for cotangent 1.0 is",
    ),
    "forgets the cotangent": (
        varied(TORCH, vjp=pulling(lambda pull, cotangent: pull(torch.ones_like(cotangent)))),
        "vjp: gradient for cotangent -2.5 is",
    ),
    "averages the cotangent": (
        varied(TORCH, vjp=pulling(lambda pull, cotangent: pull(cotangent.mean().expand_as(cotangent)))),
        "vjp of an array: pulled cotangent is",
    ),
    "is not linear in the cotangent": (
        varied(TORCH, vjp=pulling(lambda pull, cotangent: pull(cotangent.abs()))),
        "vjp: gradient for cotangent -2.5 is",
    ),
    "pulls only once": (varied(TORCH, vjp=once_only), "vjp: raised RuntimeError"),
    "gives None for what is not used": (varied(TORCH, vjp=without_zeros), "vjp: raised AttributeError"),
    "pushes a wrong value": (
        varied(TORCH, jvp=lambda f, x, v: (f(*x) + 1.0, TORCH.jvp(f, x, v)[1])),
        "jvp: value is",
    ),
    "pushes what is off by 1e-6": (
        varied(TORCH, jvp=pushing(lambda tangent: tangent * (1 + 1e-6))),
        "jvp: pushed tangent is",
    ),
    "pushes the first tangent only": (
        varied(TORCH, jvp=pushing_the_first_tangent_only),
        "jvp: pushed tangent is",
    ),
    "pushes by differences": (
        varied(TORCH, jvp=pushing_by_differences),
        "products agree: ⟨w, Jv⟩ against ⟨Jᵀw, v⟩",
    ),
    "vectorizes over nothing": (varied(TORCH, vectorize=lambda fun: fun), "vectorized: "),
    "vectorizes over the last axis": (
        varied(TORCH, vectorize=lambda fun: torch.func.vmap(fun, in_dims=-1)),
        "vectorized: row by row has shape (4,); due: (2,)",
    ),
    "swallows the function's exception": (
        varied(TORCH, vjp=swallowing_exceptions),
        "purity: vjp swallowed the function's exception",
    ),
    "changes the primals": (varied(TORCH, vjp=changing_the_primals), "purity: primal after vjp is"),
    "differentiates, but says it does not": (
        varied(TORCH, differentiates=False),
        "refuses: it says that it does not differentiate",
    ),
    "does not differentiate, but says it does": (
        varied(NUMPY, differentiates=True),
        "vjp: raised NotImplementedError",
    ),
    "has no double precision": (
        varied(JAX, double_precision=nullcontext),
        "precision is restored: inside double_precision float64 becomes float32",
    ),
    "does not make double precision the default": (
        varied(TORCH, double_precision=nullcontext),
        "precision is restored: inside double_precision float64 becomes float64 and 1.0 float32",
    ),
    "leaves the precision switched": (
        varied(TORCH, double_precision=switching_on_for_ever),
        "precision is restored: after it float64 becomes float64 and 1.0 float64; due: float64 and float32",
    ),
    "leaves jax's precision switched": (
        varied(JAX, double_precision=switching_jax_on_for_ever),
        "precision is restored: after it float64 becomes float64",
    ),
    "leaves the precision switched when it fails": (
        varied(TORCH, double_precision=forgetting_when_it_fails),
        "precision is restored: after an exception inside it float64",
    ),
    "restores a precision that was not there before": (
        varied(TORCH, double_precision=restoring_single_precision),
        "precision is restored: after another one inside it float64",
    ),
    "swallows exceptions in double precision": (
        varied(TORCH, double_precision=swallowing),
        "precision is restored: double_precision swallowed an exception",
    ),
}


@pytest.mark.usefixtures("_switches_kept")
@pytest.mark.parametrize("how", BROKEN)
def test_a_backend_is_refused_that(how):
    backend, clause = BROKEN[how]
    broken = conformance(backend)
    assert any(message.startswith(clause) for message in broken), broken
