"""Mistakes planted into ports: each is refused, its first layer is named, and what it is."""

import warnings

import pytest

pytest.importorskip("torch")
pytest.importorskip("flax")
pytest.importorskip("equinox")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the frameworks, on import
    from ports_zoo.plants import CONVENTIONS, PLANTS
    from ports_zoo.trial import trial

DUE = 0.8
"""Share of the planted mistakes whose first diagnosis has to be a right one; all of them have to be refused, and placed."""

DONE = {}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_mistake_is_refused_where_it_begins(name):
    one = DONE[name] = trial(PLANTS[name])
    assert one.verdict == "DISAGREES", one
    assert one.placed, one
    assert not one.false, one


def test_most_are_named():
    if len(DONE) < len(PLANTS):
        pytest.skip("needs all planted mistakes in one process")
    wrong = [one for one in DONE.values() if not one.named]
    assert len(wrong) <= (1 - DUE) * len(PLANTS), "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", CONVENTIONS)
def test_another_convention_at_a_kink_is_no_mistake(name):
    one = trial(CONVENTIONS[name])
    assert one.verdict == "AGREES", one
    assert one.named, one
