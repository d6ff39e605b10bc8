"""A gradient under guard: checked when it was asked for, found when it breaks, and otherwise only called."""

import timeit
import warnings

import numpy as np
import pytest

from gradproof import GradientMismatch, GradientWarning, guard
from gradproof.verdict import Verdict

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=20)


def loss(w, x, y):
    return np.mean((np.tanh(x @ w) - y) ** 2)


def value_and_grad(w, x, y):
    t = np.tanh(x @ w)
    return np.mean((t - y) ** 2), 2 * x.T @ ((t - y) * (1 - t**2)) / len(x)


class Breaking:
    """A cache of the forward pass that is refreshed only until call `until`."""

    def __init__(self, until):
        self.until, self.calls, self.cache = until, 0, None

    def __call__(self, w, x, y):
        if self.calls <= self.until:
            self.cache = np.tanh(x @ w)
        self.calls += 1
        return np.mean((self.cache - y) ** 2), 2 * x.T @ ((self.cache - y) * (1 - self.cache**2)) / len(x)


def train(claim, steps):
    w = np.zeros(3)
    for _ in range(steps):
        w = w - 0.2 * claim(w, X, Y)[1]
    return w


def test_a_right_gradient_trains_as_without_a_guard():
    guarded = guard(value_and_grad, loss, at=(0, 10, 50))
    np.testing.assert_array_equal(train(guarded, 100), train(value_and_grad, 100))
    assert [call for call, _ in guarded.reports] == [0, 10, 50]
    assert all(report.verdict is Verdict.AGREES for _, report in guarded.reports)


def test_a_cache_that_goes_stale_at_step_57_is_caught_at_the_next_check():
    broken_after = 57 + 2 * 30  # the checks themselves call it, some tens of times
    with pytest.raises(GradientMismatch) as caught:
        train(guard(Breaking(broken_after), loss, at=range(0, 400, 20)), 400)
    assert caught.value.report.verdict is Verdict.DISAGREES
    assert any("found by the guard at call" in note for note in caught.value.__notes__)


def test_a_warning_and_a_function_let_the_training_go_on():
    wrong = lambda *args: (loss(*args), 2 * value_and_grad(*args)[1])  # noqa: E731
    with pytest.warns(GradientWarning, match="disagrees at call 1"):
        train(guard(wrong, loss, at=(1,), on_disagreement="warn"), 3)
    seen = []
    train(
        guard(
            wrong, loss, at=(0, 2), on_disagreement=lambda report, call: seen.append((call, report.verdict))
        ),
        3,
    )
    assert seen == [(0, Verdict.DISAGREES), (2, Verdict.DISAGREES)]


def test_calls_are_also_drawn_with_a_probability_and_the_same_from_the_same_seed():
    def drawn(seed):
        guarded = guard(value_and_grad, loss, at=(), probability=0.1, seed=seed)
        train(guarded, 100)
        return [call for call, _ in guarded.reports]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 2 <= len(drawn(1)) <= 25


def test_a_gradient_alone_is_guarded_too():
    guarded = guard(lambda *args: value_and_grad(*args)[1], loss, at=(0,), returns="grad")
    np.testing.assert_array_equal(guarded(np.ones(3), X, Y), value_and_grad(np.ones(3), X, Y)[1])
    assert guarded.reports[0][1].verdict is Verdict.AGREES


def test_scipy_minimizes_a_guarded_function():
    optimize = pytest.importorskip("scipy.optimize")
    guarded = guard(value_and_grad, loss, at=(0, 5))
    result = optimize.minimize(guarded, np.zeros(3), args=(X, Y), jac=True)
    assert result.success
    assert len(guarded.reports) == 2
    wrong = guard(lambda *args: (loss(*args), -value_and_grad(*args)[1]), loss)
    with pytest.raises(GradientMismatch):
        optimize.minimize(wrong, np.zeros(3), args=(X, Y), jac=True)


def test_a_torch_loop():
    torch = pytest.importorskip("torch")

    def fun(w):
        return torch.sin(w).sum()

    def both(w):
        return fun(w), torch.cos(w)

    guarded, w = guard(both, fun, at=(0, 3)), torch.ones(4, dtype=torch.float64)
    for _ in range(5):
        w = w - 0.1 * guarded(w)[1]
    assert [report.verdict for _, report in guarded.reports] == [Verdict.AGREES] * 2


def test_a_jitted_jax_step_is_guarded_from_outside():
    jax = pytest.importorskip("jax")
    fun = jax.jit(lambda w: jax.numpy.sum(jax.numpy.sin(w)))
    guarded, w = guard(jax.jit(jax.value_and_grad(fun)), fun, at=(0, 2)), jax.numpy.ones(4)
    for _ in range(3):
        w = w - 0.1 * guarded(w)[1]
    assert [report.verdict for _, report in guarded.reports] == [Verdict.AGREES] * 2


def test_an_optax_loop_with_a_gradient_that_breaks():
    """The compiled gradient forgets the decay after some calls: the check at call 20 raises."""
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    fun = jax.jit(lambda w: jax.numpy.sum(jax.numpy.sin(w["a"])) + 0.5 * jax.numpy.sum(w["a"] ** 2))
    broken = jax.jit(jax.value_and_grad(lambda w: jax.numpy.sum(jax.numpy.sin(w["a"]))))
    right, calls = jax.jit(jax.value_and_grad(fun)), []

    def both(w):
        calls.append(0)
        return (broken if len(calls) > 12 else right)(w)

    guarded, w = guard(both, fun, at=(0, 20)), {"a": jax.numpy.ones(4)}
    optimizer = optax.adam(0.1)

    def train(w):
        state = optimizer.init(w)
        for _ in range(30):
            _, slope = guarded(w)
            step, state = optimizer.update(slope, state, w)
            w = optax.apply_updates(w, step)

    with pytest.raises(GradientMismatch):
        train(w)
    assert [(call, report.verdict) for call, report in guarded.reports] == [
        (0, Verdict.AGREES),
        (20, Verdict.DISAGREES),
    ]


def test_an_unchecked_call_costs_less_than_a_microsecond():
    """The cheapest of many rounds: a noisy machine only adds to it. Measured: 0.1 to 0.2 µs."""
    claim = lambda w: (0.0, w)  # noqa: E731
    guarded = guard(claim, np.sum, at=(10**9,))
    plain, under_guard = (
        min(timeit.repeat(lambda f=f: f(1.0), number=2000, repeat=30)) for f in (claim, guarded)
    )
    assert (under_guard - plain) / 2000 < 1e-6


def test_nothing_is_said_where_nothing_is_decided():
    guarded = guard(lambda w: (0.0, np.zeros(2)), lambda w: 0.0 * w.sum() + RNG.normal(), at=(0,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guarded(np.ones(2))
    assert guarded.reports[0][1].verdict is not Verdict.DISAGREES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": ()}, "nothing would ever be checked"),
        ({"at": (-1,)}, "numbers of calls, from 0; got -1"),
        ({"at": (1.5,)}, "got 1.5"),
        ({"probability": 2}, "between 0 and 1; got 2"),
        ({"returns": "hessian"}, "returns is one of value_and_grad, grad; got 'hessian'"),
        ({"on_disagreement": "shout"}, "on_disagreement is"),
    ],
)
def test_a_guard_that_cannot_watch_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        guard(value_and_grad, loss, **options)
