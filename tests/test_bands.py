"""Entries far smaller than the rest are judged by probes of their own, or said to be too small."""

import numpy as np
import pytest

from gradproof import Reason, Verdict, check

COUNT = 200


def problem(span):
    """Σ c_i sin(x_i), the c_i spread over `span` powers of ten."""
    rng = np.random.default_rng(1)
    c, x = 10.0 ** rng.uniform(-span, 0, COUNT), rng.normal(size=COUNT)
    return (lambda x: float(c @ np.sin(x))), (lambda x: c * np.cos(x)), x


def judged(fun, x, grad):
    return check(fun, x, grad=grad, sources=("numeric", "hand"))


def without(grad, entry, factor=0.0):
    def wrong(x):
        g = grad(x)
        g[entry] *= factor
        return g

    return wrong


def unseen(report):
    return [f.detail for f in report.findings if f.reason is Reason.UNSEEN]


@pytest.mark.parametrize("span", [0, 6, 10])
@pytest.mark.parametrize("rank", [0, 5, 20, 100, 199])
@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0])
def test_a_wrong_entry_is_found_however_small_beside_the_rest(span, rank, factor):
    fun, grad, x = problem(span)
    entry = np.argsort(np.abs(grad(x) * x))[rank]
    assert judged(fun, x, grad).verdict is Verdict.AGREES
    assert judged(fun, x, without(grad, entry, factor)).verdict is Verdict.DISAGREES


@pytest.mark.parametrize("span", [14, 20])
def test_entries_that_no_value_shows_are_counted(span):
    fun, grad, x = problem(span)
    report = judged(fun, x, grad)
    assert report.verdict is Verdict.AGREES
    (said,) = unseen(report)
    assert 10 < int(said.split()[0]) < 100
    assert "entries are too small" in str(report)


def test_nothing_is_said_where_every_entry_shows():
    fun, grad, x = problem(6)
    assert not unseen(judged(fun, x, grad))
