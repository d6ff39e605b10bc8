"""A third party's adapter goes the way of our own: an entry point, the conformance suite, a source like any other."""

from pathlib import Path

import pytest

from distributions import install, install_project
from fresh import python

PROGRAM = """
import json
import math
import numpy as np
from gradproof import check, conformance
from gradproof.backend import backend_for, load, names

def fun(params, x):
    hidden = x @ params["w"].T + params["b"]
    return (hidden * hidden * hidden).sum() / (1.0 + (params["b"] * params["b"]).sum())

def right(params, x):
    w, b = params["w"], params["b"]
    hidden = x @ w.T + b
    size = 1.0 + (b * b).sum()
    slope = 3.0 * hidden * hidden / size
    return {"w": slope.T @ x, "b": slope.sum(axis=0) - 2.0 * b * (hidden**3).sum() / size**2}

def wrong(params, x):
    return {**right(params, x), "b": 1.01 * right(params, x)["b"]}

rng = np.random.default_rng(0)
params, x = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}, rng.normal(size=(5, 3))

def examined(fun=fun, **keywords):
    report = check(fun, params, args=(x,), **keywords)
    return {**report.to_dict(), "text": str(report)}
"""


QUESTIONS = """
sources = ["numeric", "hand", "autograd"]
cannot_be_traced = lambda params, x: math.exp(params["b"][0])
print(json.dumps({
    "names": names(),
    "broken clauses": conformance(load("autograd")),
    "owner of numpy's arrays": backend_for(x).name,
    "right": examined(grad=right, sources=sources),
    "wrong": examined(grad=wrong, sources=sources),
    "not for it": examined(fun=cannot_be_traced, sources=["numeric", "autograd"]),
}))
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """What a fresh interpreter says of the adapter in tests/stranger."""
    target = tmp_path_factory.mktemp("stranger")
    install_project(Path(__file__).parent / "stranger", target)
    return python(PROGRAM + QUESTIONS, target)


def test_it_is_found_by_name_beside_ours(stranger):
    assert stranger["names"] == ["autograd", "jax", "numpy", "torch"]


def test_it_conforms(stranger):
    assert stranger["broken clauses"] == []


def test_the_arrays_it_computes_on_still_belong_to_numpy(stranger):
    assert stranger["owner of numpy's arrays"] == "numpy"


def test_the_right_gradient_agrees_with_it(stranger):
    assert stranger["right"]["verdict"] == "AGREES"
    assert verdicts(stranger["right"]) == {"numeric": "AGREES", "hand": "AGREES", "autograd": "AGREES"}


def test_a_wrong_gradient_is_the_odd_one_out_beside_it(stranger):
    assert stranger["wrong"]["verdict"] == "DISAGREES"
    assert stranger["wrong"]["odd_one_out"] == "hand"
    assert verdicts(stranger["wrong"]) == {"numeric": "AGREES", "hand": "DISAGREES", "autograd": "AGREES"}


def test_the_report_shows_it(stranger):
    assert "hand is the odd one out; numeric and autograd agree" in stranger["wrong"]["text"]


def test_a_function_it_cannot_run_makes_it_unsupported(stranger):
    assert stranger["not for it"]["sources"]["autograd"]["verdict"] == "UNSUPPORTED"
    assert "TypeError" in stranger["not for it"]["sources"]["autograd"]["detail"]


# Broken adapters. They serve `colorsys`: every Python has it, and nothing imports it by itself.

BROKEN = {
    "an import error": ('raise ImportError("libstranger.so is missing")', "libstranger.so is missing"),
    "not a Backend": ("backend = object()", "is not a Backend: it lacks differentiates"),
    "not named after its package": (
        "from gradproof_numpy import backend",
        "serves the package 'numpy': name it after the package",
    ),
}


@pytest.fixture(scope="module", params=BROKEN)
def broken(request, tmp_path_factory):
    """Folder with a broken adapter, and what a report has to say of it."""
    source, message = BROKEN[request.param]
    target = tmp_path_factory.mktemp("broken")
    install(target, "broken", {"colorsys": "broken_adapter:backend"}, {"broken_adapter.py": source})
    return target, message


def test_a_broken_adapter_is_unsupported_and_says_why(broken):
    target, message = broken
    report = python(
        PROGRAM + 'print(json.dumps(examined(grad=right, sources=["numeric", "hand", "colorsys"])))', target
    )
    assert report["verdict"] == "AGREES"
    assert report["sources"]["colorsys"]["verdict"] == "UNSUPPORTED"
    assert message in report["sources"]["colorsys"]["detail"]


def test_a_broken_adapter_harms_no_one_else_when_its_package_is_imported(broken):
    target, _ = broken
    report = python(
        PROGRAM + 'import colorsys; print(json.dumps(examined(grad=right, sources=["numeric", "hand"])))',
        target,
    )
    assert report["verdict"] == "AGREES"


def verdicts(report):
    return {name: result["verdict"] for name, result in report["sources"].items()}
