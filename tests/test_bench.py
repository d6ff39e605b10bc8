"""Timings of a function and of every source's gradient: only once they are known to be the same gradient."""

import json

import numpy as np
import pytest

from gradproof.bench import bench
from gradproof.course import course_problem
from gradproof.faults import plant
from gradproof.problems import Problem
from gradproof.verdict import Verdict

HAND = ("hand",)


def test_every_source_is_timed_in_every_dtype():
    result = bench(course_problem(1.0), sources=["hand", "torch"])
    assert [(t.source, t.dtype) for t in result.timings] == [
        ("hand", "float64"), ("torch", "float64"), ("hand", "float32"), ("torch", "float32"),
    ]  # fmt: skip
    for timing in result.timings:
        assert 0 < timing.function < timing.gradient < 1
        assert timing.ratio > 1
        assert timing.calls >= 9
    assert result.timings[0].relative == 1.0


def test_a_framework_that_compiles_is_timed_both_ways():
    result = bench(course_problem(1.0), sources=["hand", "jax"], dtypes=["float64"])
    assert [t.source for t in result.timings] == ["hand", "jax", "jax, compiled"]
    assert result.timings[2].gradient < result.timings[1].gradient


def test_wrong_gradients_are_not_timed():
    result = bench(plant("double", course_problem(1.0)), sources=HAND)
    assert (result.report.verdict, result.timings) == (Verdict.DISAGREES, ())
    assert "nothing was timed" in str(result)
    assert "GP101" in str(result)


def test_a_source_that_cannot_run_the_function_is_said_to():
    problem = Problem(
        "cubes", lambda x: float(np.sum(np.asarray(x) ** 3)), np.ones(3), grad=lambda x: 3 * x**2
    )
    result = bench(problem, sources=["hand", "jax"], dtypes=["float64"])
    assert [t.source for t in result.timings] == ["hand"]
    assert "jax" in result.unsupported
    assert "jax: " in str(result)


def test_a_claim_in_any_form_is_timed():
    base = course_problem(1.0)
    network = base.fun.__self__
    forms = {
        "value_and_grad": network.value_and_gradient,
        "vjp": lambda cotangent, params, *args: tuple(
            type(g)(cotangent * g.weight, cotangent * g.bias) for g in network.gradient(params, *args)
        ),
    }
    for form, claim in forms.items():
        problem = Problem(form, base.fun, base.params, base.args, **{form: claim})
        assert bench(problem, sources=HAND, dtypes=["float64"]).timings[0].gradient > 0


def test_the_table_and_the_json_hold_the_same_rows():
    result = bench(course_problem(1.0), sources=HAND)
    plain = json.loads(json.dumps(result.to_dict()))
    assert [row["dtype"] for row in plain["timings"]] == ["float64", "float32"]
    assert plain["verdict"] == "AGREES"
    lines = str(result).splitlines()
    assert lines[0] == "course network 3-5-3"
    assert lines[2].split() == [
        "source",
        "dtype",
        "function",
        "gradient",
        "ratio",
        "relative",
        "calls",
        "peak",
        "memory",
    ]
    assert len(lines) == 5


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="dtypes are float64 and float32; got 'int8'"):
        bench(course_problem(1.0), dtypes=["int8"])


def test_a_large_gradient_shows_in_the_peak():
    problem = Problem("large", lambda x: np.sum(x * x), np.ones(2**21), grad=lambda x: 2 * x)
    (timing,) = bench(problem, sources=HAND, dtypes=["float64"]).timings
    assert np.isnan(timing.peak) or timing.peak >= 2**21 * 8 / 2
