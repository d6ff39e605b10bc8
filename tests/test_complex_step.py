"""The complex step narrows the bar of analytic code, and is not believed of any other."""

import warnings

import numpy as np
import pytest

from gradproof import Verdict, check

RNG = np.random.default_rng(3)
A = RNG.normal(size=(6, 6))
X = RNG.normal(size=6)


def judged(fun, grad, x=X, **options):
    return check(fun, x, grad=grad, sources=("numeric", "hand"), **options)


def loss(x):
    return np.sin(A @ x).sum()


def slope(x):
    return A.T @ np.cos(A @ x)


def first(report):
    return report.probes[0]


def test_analytic_code_is_known_to_the_last_digits():
    probed = first(judged(loss, slope))
    truth = sum(slope(X) * probed.probe[0])
    assert abs(probed.complex_step.value[0] - truth) <= probed.complex_step.bar[0] < 1e-13
    assert probed.slope.bar[0] == probed.complex_step.bar[0]


@pytest.mark.parametrize("seed", range(10))
def test_its_bar_holds(seed):
    """Against the same slope in extended precision."""
    rng = np.random.default_rng(seed)
    a, x = rng.normal(size=(6, 6)), rng.normal(size=6)
    report = judged(lambda x: np.exp(np.tanh(a @ x)).prod(), lambda x: x, x, seed=seed)
    v, wide = first(report).probe[0].astype(np.longdouble), a.astype(np.longdouble)
    z = wide @ x.astype(np.longdouble)
    truth = np.exp(np.tanh(z)).prod() * ((1 - np.tanh(z) ** 2) * (wide @ v)).sum()
    step = first(report).complex_step
    assert abs(step.value[0] - truth) <= step.bar[0]


NOT_ANALYTIC = {
    "modulus": (lambda x: np.abs(A @ x).sum(), lambda x: A.T @ np.sign(A @ x)),
    "conjugate": (lambda x: np.vdot(x, x), lambda x: 2 * x),
    "real part": (lambda x: np.real(loss(x)), slope),
    "half a real part": (lambda x: loss(x) / 2 + loss(np.real(x)) / 2, slope),
    "a cast": (lambda x: loss(x.astype(float)), slope),
    "a Python float": (lambda x: float(loss(x)), slope),
    "a buffer": (lambda x: loss(np.add(x, 0, out=np.empty(6))), slope),
    "a refusal": (lambda x: loss(np.asarray(x, dtype=float)), slope),
    "a comparison": (lambda x: loss(x) if (x.imag == 0).all() else loss(x) * 2, slope),
}


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_code_that_is_not_analytic_is_judged_without_it(name):
    fun, grad = NOT_ANALYTIC[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = judged(fun, grad)
    assert report.verdict is Verdict.AGREES
    assert first(report).complex_step is None


@pytest.mark.parametrize("name", ["modulus", "conjugate"])
def test_what_the_complex_step_would_say_of_it_is_refused(name):
    fun, _ = NOT_ANALYTIC[name]
    assert judged(fun, lambda x: 0 * x).verdict is Verdict.DISAGREES


def test_the_report_says_that_it_confirms():
    report = judged(loss, slope)
    assert report.sources["numeric"].detail == "confirmed by the complex step"
    assert "confirmed by the complex step" in str(report)
    assert report.sources["numeric"].calls <= 100


def test_torch_and_jax_code_is_analytic_too():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    a = torch.tensor(A)
    report = check(
        lambda x: torch.sin(a.to(x.dtype) @ x).sum(), torch.tensor(X), sources=("numeric", "torch")
    )
    assert first(report).complex_step is not None
    with jax.enable_x64(True):
        report = check(lambda x: jax.numpy.sin(A @ x).sum(), jax.numpy.asarray(X), sources=("numeric", "jax"))
    assert first(report).complex_step is not None
