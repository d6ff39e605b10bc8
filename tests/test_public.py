"""What is public: listed, documented, and of the form that was promised."""

import ast
import inspect
import types
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pytest

import gradproof

PROMISED = """(fun, params, /, *, args=(), grad=None, value_and_grad=None, vjp=None, jvp=None,
 sources=None, resolution=None, confidence=0.999, seed=0, diagnose=True, workers=None, progress=False)"""


def members(name, thing):
    """(dotted name, thing) of `thing` and of all that is public in it and can have a docstring."""
    yield name, thing
    for inner in names_in(thing):
        yield from members(f"{name}.{inner}", getattr(thing, inner))


def names_in(thing):
    """Public names of a module, or of what a class itself defines, that can have a docstring."""
    if isinstance(thing, types.ModuleType):
        return [name for name in thing.__all__ if can_have_a_docstring(getattr(thing, name))]
    defined = vars(thing) if isinstance(thing, type) else {}
    return [name for name, x in defined.items() if not name.startswith("_") and can_have_a_docstring(x)]


def can_have_a_docstring(thing):
    return isinstance(thing, type | types.FunctionType | types.ModuleType | property | classmethod)


def documented(thing):
    """Whether `thing` has a docstring that somebody wrote: dataclasses and enumerations get one by themselves."""
    text = thing.__doc__ or ""
    generated = isinstance(thing, type) and text.startswith((f"{thing.__name__}(", "An enumeration."))
    return bool(text) and not generated


def form(function):
    """Names, kinds and defaults of the parameters of `function`."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


PUBLIC = dict(members("gradproof", gradproof))


def test_the_listing_is_sorted():
    assert gradproof.__all__ == sorted(gradproof.__all__)


def test_the_listing_is_what_the_package_imports():
    tree = ast.parse(inspect.getsource(gradproof))
    imported = [
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert sorted(imported) == gradproof.__all__


@pytest.mark.parametrize("module", [m for m in gradproof.__all__ if inspect.ismodule(getattr(gradproof, m))])
def test_a_public_modules_listing_is_sorted_and_there(module):
    listing = getattr(gradproof, module).__all__
    assert listing == sorted(listing)
    assert all(hasattr(getattr(gradproof, module), name) for name in listing)


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_is_documented(name):
    assert documented(PUBLIC[name])


def test_types_are_shipped():
    assert files("gradproof").joinpath("py.typed").is_file()


def test_check_has_the_promised_form():
    promised = {}
    exec(f"def check{PROMISED}: ...", promised)
    assert form(gradproof.check) == form(promised["check"])
    assert inspect.signature(gradproof.check).return_annotation is gradproof.Report


CLAIMS = {
    "grad": lambda x, c: 2 * c * x,
    "value_and_grad": lambda x, c: (c * (x * x).sum(), 2 * c * x),
    "vjp": lambda w, x, c: w * 2 * c * x,
    "jvp": lambda v, x, c: (2 * c * x * v).sum(),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_assert_gradients_takes_what_check_takes(claim):
    report = gradproof.assert_gradients(
        lambda x, c: c * (x * x).sum(),
        np.arange(1.0, 4.0),
        args=(0.5,),
        **{claim: CLAIMS[claim]},
        sources=["numeric", "hand"],
        resolution=1e-2,
        confidence=0.9,
        seed=1,
    )
    assert (report.resolution, report.seed) == (1e-2, 1)


def test_assert_gradients_takes_nothing_else():
    with pytest.raises(TypeError, match="unexpected keyword argument 'tolerance'"):
        gradproof.assert_gradients(np.sum, np.arange(1.0, 4.0), tolerance=1e-3)


def test_a_mismatch_is_a_failed_assertion_that_holds_the_report():
    with pytest.raises(gradproof.GradientMismatch, match="hand disagrees with numeric") as caught:
        gradproof.assert_gradients(
            lambda x: (x * x).sum(), np.arange(1.0, 4.0), grad=lambda x: 3 * x, sources=["numeric", "hand"]
        )
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report.verdict is gradproof.Verdict.DISAGREES


# The probe notices


class Undocumented:
    def method(self): ...

    @property
    def fact(self): ...


@dataclass
class Record:
    field: int


class Row(NamedTuple):
    field: int


class Choice(Enum):
    ONE = 1


@pytest.mark.parametrize(
    "thing", [Undocumented, Undocumented.method, Undocumented.fact, Record, Row, Choice, lambda: None]
)
def test_the_probe_notices_what_has_no_docstring(thing):
    assert not documented(thing)
