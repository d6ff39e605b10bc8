"""A planted mistake in a stretch is named, and nothing else is; what is no mistake of the list is not explained."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from gradproof.codes import CODES
from gradproof.porting.causes import causes_of_stretch
from port_stretches import ACTIVATIONS, ATTENTION, LAYERS, NORMS, PLANTED, RECURRENT, stretch

SEEDS = (0, 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_named_alone(name, seed):
    case, code, words = PLANTED[name](np.random.default_rng([seed, len(name)]))
    causes = causes_of_stretch(case)
    assert [cause.code for cause in causes] == [code], causes
    assert all(word in causes[0].says for word in words), causes[0].says
    assert causes[0].code in CODES
    said = causes[0].says.format(reference="torch", port="flax")
    assert "{" not in said
    assert "flax" in said


@pytest.mark.parametrize("name", PLANTED)
def test_an_unrelated_difference_is_not_explained(name):
    rng = np.random.default_rng(3)
    case, _, _ = PLANTED[name](rng)
    noise = rng.normal(size=case.found.shape)
    for size in (1.0, 1e-7):
        assert causes_of_stretch(replace(case, found=case.expected + size * noise, again=None)) == ()


@pytest.mark.parametrize("name", [*NORMS, *ACTIVATIONS, *LAYERS, *ATTENTION, *RECURRENT])
def test_half_of_a_mistake_is_not_that_mistake(name):
    """A hypothesis has to explain the whole difference."""
    case, _, _ = PLANTED[name](np.random.default_rng(4))
    found = case.found.copy()
    found.ravel()[::3] = case.expected.ravel()[::3] + 0.1 * (found - case.expected).ravel()[::3]
    assert causes_of_stretch(replace(case, found=found, again=None)) == ()


@pytest.mark.parametrize("name", PLANTED)
def test_what_agrees_has_no_cause(name):
    case, _, _ = PLANTED[name](np.random.default_rng(5))
    assert causes_of_stretch(replace(case, found=case.expected.copy())) == ()
    almost = case.expected * (1 + 1e-16)
    assert causes_of_stretch(replace(case, found=almost, bar=max(case.bar, 1e-300))) == ()


def test_shapes_that_cannot_be_compared_have_no_cause():
    x = np.arange(6.0)
    assert causes_of_stretch(stretch({"x": x}, x, x[:5])) == ()
    assert causes_of_stretch(stretch({}, np.zeros(()), np.ones(()))) == ()
    assert causes_of_stretch(stretch({"x": x[:0]}, x[:0], x[:0])) == ()


def test_zeros_whose_share_is_not_that_of_the_scale_are_no_dropout():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(20, 30))
    half = np.where(rng.uniform(size=y.shape) < 0.5, 0.0, y / 0.9)
    assert causes_of_stretch(stretch({}, y, half)) == ()


def test_two_sides_of_one_format_are_not_told_apart_by_it():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(20, 30)).astype(np.float32)
    other = (y + np.float32(1e-6) * rng.normal(size=y.shape).astype(np.float32)).astype(np.float32)
    assert causes_of_stretch(stretch({}, y.astype(np.float64), other.astype(np.float64))) == ()


def test_integers_and_infinities_are_survived():
    x = np.arange(12).reshape(3, 4)
    y = np.where(x > 5, -np.inf, x.astype(float))
    assert causes_of_stretch(stretch({"ids": x}, y, np.where(x > 4, -np.inf, 1.5 * x))) == ()
