"""Memory: the same for 40 million parameters as for 40, in copies of them."""

import tracemalloc

import numpy as np

from gradproof import Verdict, check

COPIES = 6


def loss(x):
    return 0.5 * float(np.dot(x, x))


def peak_in_copies(size):
    x = np.random.default_rng(0).normal(size=size)
    check(loss, x[:9], grad=np.copy, sources=("numeric", "hand"))  # what is imported once does not count
    tracemalloc.start()
    report = check(loss, x, grad=np.copy, sources=("numeric", "hand"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.verdict is Verdict.AGREES
    assert report.sources["numeric"].calls <= 100
    return peak / x.nbytes


def test_ten_million_parameters_take_no_more_than_six_copies():
    assert peak_in_copies(10**7) <= COPIES
