"""gradproof loads only what it needs, and leaves everything as it found it."""

import random

import jax
import numpy as np
import pytest
import torch

from fresh import python
from gradproof import check

HEAVY = (
    "torch",
    "jax",
    "jaxlib",
    "scipy",
    "rich",
    "matplotlib",
    "autograd",
    "array_api_strict",
    "importlib.metadata",
)
"""`array_api_compat` loads its part for a framework only when it meets an array of it."""

CHECK = """
import numpy as np
from gradproof import check
report = check(lambda x: (x * x).sum(), np.arange(1.0, 4.0), grad=lambda x: 2 * x, sources=["numeric", "hand"])
"""


def loaded(code):
    """Heavy modules that a fresh interpreter has loaded after `code`."""
    heavy = python(f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))")
    return [
        name
        for name in heavy
        if name.startswith(("array_api_compat.", *(f"{h}." for h in HEAVY))) or name in HEAVY
    ]


def test_importing_gradproof_loads_no_framework_and_no_view():
    assert loaded("import gradproof") == []


def test_a_check_on_numpy_loads_no_other_framework():
    assert {name.split(".")[0] for name in loaded(CHECK)} <= {"array_api_compat", "importlib"}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import gradproof, rich", "rich"),
        ("import gradproof, array_api_compat.numpy", "array_api_compat.numpy"),
        (f"{CHECK}\nprint(report)", "rich"),
    ],
)
def test_the_probe_notices(code, name):
    assert name in loaded(code)


# Switches and generators


def switches():
    """Everything global that a check might touch."""
    return {
        "jax_enable_x64": jax.config.jax_enable_x64,
        "torch default dtype": torch.get_default_dtype(),
        "torch grad mode": torch.is_grad_enabled(),
        "torch generator": torch.get_rng_state().tolist(),
        "numpy generator": [
            part if isinstance(part, str) else np.asarray(part).tolist() for part in np.random.get_state()
        ],
        "numpy errors": np.geterr(),
        "random": random.getstate(),
    }


def square(x):
    return (x * x).sum()


def of_a_number(x):
    """A function that no framework can trace."""
    return float(x[0]) ** 2


def failing(x):
    raise ZeroDivisionError


POINTS = {
    "numpy": np.arange(1.0, 4.0),
    "numpy float32": np.arange(1.0, 4.0, dtype=np.float32),
    "jax": jax.numpy.arange(1.0, 4.0),
    "torch": torch.arange(1.0, 4.0),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_check_leaves_every_switch_as_it_was(point):
    before = switches()
    check(square, POINTS[point], grad=lambda x: 2 * x)
    assert switches() == before


@pytest.mark.parametrize("point", POINTS)
def test_a_check_of_a_function_that_raises_leaves_every_switch_as_it_was(point):
    before = switches()
    with pytest.raises(ZeroDivisionError):
        check(failing, POINTS[point])
    assert switches() == before


@pytest.mark.parametrize("point", POINTS)
def test_a_check_of_a_claim_that_raises_leaves_every_switch_as_it_was(point):
    before = switches()
    with pytest.raises(ZeroDivisionError):
        check(square, POINTS[point], grad=failing)
    assert switches() == before


def test_a_function_that_raises_in_the_frameworks_only_leaves_every_switch_as_it_was():
    before = switches()
    report = check(of_a_number, POINTS["numpy"])
    assert {report.sources[name].verdict.value for name in ("jax", "torch")} == {"UNSUPPORTED"}
    assert switches() == before


def switch_jax():
    jax.config.update("jax_enable_x64", not jax.config.jax_enable_x64)


CHANGES = {
    "jax_enable_x64": (switch_jax, switch_jax),
    "torch default dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "torch grad mode": (lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True)),
    "torch generator": (lambda: torch.rand(1), lambda: None),
    "numpy generator": (np.random.random, lambda: None),
    "numpy errors": (lambda: np.seterr(over="raise"), lambda: np.seterr(over="warn")),
    "random": (random.random, lambda: None),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_probe_notices_a_change_of(what):
    change, restore = CHANGES[what]
    before = switches()
    change()
    after = switches()
    restore()
    assert [name for name in before if after[name] != before[name]] == [what]


def test_the_probe_knows_a_change_of_every_switch():
    assert sorted(CHANGES) == sorted(switches())
