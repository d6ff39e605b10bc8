"""Code in less than double precision: what its rounding excuses, and what it does not."""

import numpy as np
import pytest

from gradproof import Reason, Verdict, check


def verdict(fun, x, grad, **options):
    report = check(fun, x, grad=grad, sources=("numeric", "hand"), **options)
    return report.verdict, report.reason


def sum_of_squares(x):
    return 0.5 * (x**2).sum()


def cumulative(x):
    """x, as the naive float32 gradient of a loss whose terms are added one after another."""
    running = np.cumsum(x, dtype=x.dtype)
    return np.concatenate([running[:1], np.diff(running)])


@pytest.mark.parametrize("size", [100, 10_000, 300_000])
def test_a_claim_that_lost_digits_in_float32_is_no_wrong_formula(size):
    x = np.random.default_rng(size).uniform(0.5, 1.5, size).astype(np.float32)
    found = verdict(sum_of_squares, x, cumulative)
    assert found[0] is not Verdict.DISAGREES


@pytest.mark.parametrize("size", [100, 10_000])
@pytest.mark.parametrize("error", [1e-2, 1e-3])
def test_a_wrong_formula_is_refused_in_float32(size, error):
    x = np.random.default_rng(size).uniform(0.5, 1.5, size).astype(np.float32)
    assert verdict(sum_of_squares, x, lambda x: x * np.float32(1 + error))[0] is Verdict.DISAGREES


def test_a_claim_that_loses_all_digits_in_float32_is_not_called_right():
    """(1 + x) − 1 of x = 1e-8: nothing is left."""

    def grad(x):
        return (x + np.float32(1e8)) - np.float32(1e8)

    x = np.full(5, 0.3, dtype=np.float32)
    assert verdict(sum_of_squares, x, grad) == (Verdict.UNDECIDED, Reason.RESOLUTION)


def test_a_float32_claim_is_asked_once_in_float64():
    seen = []

    def grad(x):
        seen.append(x.dtype)
        return x

    check(sum_of_squares, np.ones(3, dtype=np.float32), grad=grad, sources=("numeric", "hand"))
    assert seen.count(np.dtype("float64")) == 1


HALF = np.random.default_rng(0).normal(size=(8, 5))


def layer(x):
    return np.tanh(HALF.astype(x.dtype) @ x).sum()


def layer_gradient(x):
    a = HALF.astype(x.dtype)
    return a.T @ (1 - np.tanh(a @ x) ** 2)


@pytest.mark.parametrize("seed", range(4))
def test_half_precision_is_judged_by_the_same_code_in_float64(seed):
    x = np.random.default_rng(1).normal(size=5).astype(np.float16)
    assert verdict(layer, x, layer_gradient, seed=seed)[0] is Verdict.AGREES
    wrong = verdict(layer, x, lambda x: (layer_gradient(x) * x.dtype.type(1.05)).astype(x.dtype), seed=seed)
    assert wrong[0] is Verdict.DISAGREES


@pytest.mark.parametrize("seed", range(4))
def test_half_precision_alone_is_never_refused_and_never_passes_a_wrong_sign(seed):
    def native(x):
        return np.float16(layer(x.astype(np.float16)))

    def native_gradient(x):
        if x.dtype != np.float16:
            raise TypeError("float16 only")
        return layer_gradient(x)

    x = np.random.default_rng(1).normal(size=5).astype(np.float16)
    assert verdict(native, x, native_gradient, seed=seed)[0] is not Verdict.DISAGREES
    assert verdict(native, x, lambda x: -native_gradient(x), seed=seed)[0] is not Verdict.AGREES


@pytest.mark.parametrize("factor", [1.0, 1.3, -1.0])
def test_bfloat16(factor):
    torch = pytest.importorskip("torch")

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.tanh(2 * x)

        @staticmethod
        def backward(ctx, cotangent):
            (x,) = ctx.saved_tensors
            return factor * 2 * (1 - torch.tanh(2 * x) ** 2) * cotangent

    x = torch.tensor([0.3, -0.4, 0.1, 0.7], dtype=torch.bfloat16)
    report = check(lambda x: Scaled.apply(x).sum(), x, sources=("numeric", "torch"))
    assert report.verdict is (Verdict.AGREES if factor == 1 else Verdict.DISAGREES)
    assert report.resolution == 0.5
