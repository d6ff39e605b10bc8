"""The registry finds the one backend of an array, and arrays come back from every backend as they went in."""

import importlib.metadata
import string
import sys
from fractions import Fraction
from itertools import permutations

import array_api_strict
import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from distributions import install
from fresh import python
from gradproof import BackendError, backend, backend_for, check
from gradproof.backend import StandardBackend, installed, load, names

STRICT = StandardBackend(array_api_strict)
OURS = ("jax", "numpy", "torch")
BACKENDS = (*map(load, OURS), STRICT)

unhurried = settings(deadline=None)
each_backend = pytest.mark.parametrize("here", BACKENDS, ids=lambda here: here.name)


# Names


def test_our_backends_are_registered():
    assert set(OURS) <= set(names())
    assert list(names()) == sorted(names())


@pytest.mark.parametrize("name", OURS)
def test_a_backend_is_loaded_by_its_name(name):
    assert load(name).name == name


@unhurried
@given(st.text().filter(lambda name: name not in names()))
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"unknown backend .*Known: .*jax, numpy, torch") as refusal:
        load(name)
    assert repr(name) in str(refusal.value)


@unhurried
@given(st.sampled_from(OURS), st.data())
def test_a_name_with_a_slip_is_guessed(name, data):
    at = data.draw(st.integers(1, len(name) - 1))
    slips = (
        name[:at] + name[at + 1 :],
        name[:at] + data.draw(st.sampled_from(string.ascii_lowercase)) + name[at:],
    )
    with pytest.raises(ValueError, match=f"did you mean {name!r}"):
        load(data.draw(st.sampled_from(slips)))


def test_a_name_like_no_other_is_not_guessed():
    with pytest.raises(ValueError, match="unknown backend 'mathematica'") as refusal:
        load("mathematica")
    assert "did you mean" not in str(refusal.value)


def test_looking_for_a_framework_does_not_import_it():
    found, imported = python("""
        import json, sys
        from gradproof.backend import installed
        print(json.dumps([installed("torch"), "torch" in sys.modules]))
    """)
    assert (found, imported) == (True, False)


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.inner", ""])
def test_what_is_not_there_is_not_installed(name):
    assert not installed(name)


# Owners


@pytest.mark.parametrize(
    ("x", "owner"),
    [
        (np.zeros(2), load("numpy")),
        (np.float64(1.0), load("numpy")),
        (torch.zeros(2), load("torch")),
        (torch.nn.Parameter(torch.zeros(2)), load("torch")),
        (jax.numpy.zeros(2), load("jax")),
        (array_api_strict.zeros(2), STRICT),
    ],
)
def test_an_array_belongs_to_its_framework(x, owner):
    assert backend_for(x) == owner


def test_the_registry_is_read_once_and_not_for_every_array(monkeypatch):
    readings = []
    entry_points = importlib.metadata.entry_points
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda **group: readings.append(group) or entry_points(**group)
    )
    for _ in range(10):
        backend_for(np.zeros(2))
    assert len(readings) <= 1


def test_a_tracer_belongs_to_jax():
    owners = []
    jax.jit(lambda x: (owners.append(backend_for(x).name), x)[1])(1.0)
    assert owners == ["jax"]


@pytest.mark.parametrize(
    ("x", "type_name"),
    [([1.0], "builtins.list"), (1.0, "builtins.float"), (Fraction(1), "fractions.Fraction")],
)
def test_what_nobody_owns_is_refused_with_its_type_and_the_known_backends(x, type_name):
    with pytest.raises(
        BackendError, match=f"no backend owns a {type_name}; due: an array of .*jax, numpy, torch"
    ):
        backend_for(x)


HOME = {
    "numpy": np.ones(2),
    "torch": torch.ones(2),
    "jax": jax.numpy.ones(2),
    "array_api_strict": array_api_strict.ones(2),
}


@pytest.mark.parametrize(("first", "second"), list(permutations(HOME, 2)))
def test_params_of_two_backends_are_refused_with_both_places(first, second):
    mixed = rf"params mix backends: w belongs to {first}, b\[0\] to {second}; convert one"
    with pytest.raises(ValueError, match=mixed):
        check(lambda params: 0.0, {"w": HOME[first], "b": [HOME[second]]})


# Third parties' adapters. Package `fractions` is imported by gradproof itself, `colorsys` by nobody.

ADAPTER = """
from fractions import Fraction
from types import SimpleNamespace
from gradproof.backend import Backend
from gradproof_numpy import backend as numpys

backend = SimpleNamespace(**{name: getattr(numpys, name) for name in dir(Backend) if not name.startswith("_")})
"""


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Register an adapter of a `package` for the time of a test: numpy's, with `changes` as further statements."""

    def register(package, changes):
        source = f"{ADAPTER}backend.package = {package!r}\n{changes}"
        install(tmp_path, "third-party", {package: "third_party:backend"}, {"third_party.py": source})
        monkeypatch.syspath_prepend(tmp_path)
        forget_what_was_loaded()

    yield register
    sys.modules.pop("third_party", None)
    monkeypatch.undo()
    forget_what_was_loaded()


def forget_what_was_loaded():
    for function in vars(backend).values():
        getattr(function, "cache_clear", lambda: None)()


def test_a_third_partys_backend_is_found_for_its_arrays(registered):
    registered("fractions", "backend.name = 'exact'; backend.owns = lambda x: isinstance(x, Fraction)")
    assert backend_for(Fraction(1, 2)).name == "exact"
    assert backend_for(np.zeros(2)).name == "numpy"


def test_two_claimants_are_an_error_that_names_both(registered):
    registered("fractions", "backend.name = 'greedy'; backend.owns = lambda x: True")
    with pytest.raises(
        BackendError, match=r"greedy and numpy both claim a numpy\.ndarray; uninstall one of the two"
    ):
        backend_for(np.zeros(2))


def test_an_adapter_is_not_loaded_before_its_package_is_imported(registered):
    registered("colorsys", "1 / 0")
    assert "colorsys" in names()
    assert backend_for(np.zeros(2)).name == "numpy"


def test_an_adapter_that_lacks_members_is_refused_with_their_names(registered):
    registered("colorsys", "del backend.vjp, backend.owns")
    with pytest.raises(
        BackendError, match=r"'colorsys' of gradproof\.backends is not a Backend: it lacks owns, vjp$"
    ):
        load("colorsys")


def test_an_adapter_that_is_not_named_after_its_package_is_refused(registered):
    registered("colorsys", "backend.package = 'colours'")
    with pytest.raises(BackendError, match="serves the package 'colours': name it after the package"):
        load("colorsys")


# Copies

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=40)


@each_backend
@unhurried
@given(x=arrays.arrays(st.sampled_from([np.float32, np.float64]), SHAPES))
def test_floats_come_back_bit_by_bit(here, x):
    with here.double_precision():
        back = here.to_numpy(here.from_numpy(x, dtype=x.dtype.name))
    assert (back.dtype, back.shape, back.tobytes()) == (x.dtype, x.shape, x.tobytes())


@each_backend
@unhurried
@given(x=arrays.arrays(np.float64, SHAPES, elements=st.floats(-1, 1)))
def test_nothing_is_shared_with_what_went_in_or_comes_out(here, x):
    kept = x.copy()
    with here.double_precision():
        array = here.from_numpy(x, dtype="float64")
        x += 1.0
        out = here.to_numpy(array)
        out += 1.0
        assert np.array_equal(here.to_numpy(array), kept)


CONSTANTS = (
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "complex64",
    "complex128",
)


@each_backend
@pytest.mark.parametrize("dtype", CONSTANTS)
def test_constants_of_every_kind_come_back_exactly(here, dtype):
    x = np.array([[0, 1], [3, 100]]).astype(dtype)
    with here.double_precision():
        back = here.to_numpy(here.from_numpy(x, dtype=dtype))
    assert back.dtype == x.dtype
    assert np.array_equal(back, x)


@pytest.mark.parametrize("name", OURS)
def test_half_precision_comes_back_exactly(name):
    x = np.array([0.5, -1.0, 3.0], dtype=np.float16)
    back = load(name).to_numpy(load(name).from_numpy(x, dtype="float16"))
    assert (back.dtype, back.tolist()) == (x.dtype, x.tolist())


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_what_numpy_lacks_comes_in_the_next_wider_dtype(name):
    x = np.array([0.5, -1.0, 3.0], dtype=np.float32)
    back = load(name).to_numpy(load(name).from_numpy(x, dtype="bfloat16"))
    assert (back.dtype, back.tolist()) == (x.dtype, x.tolist())


@each_backend
def test_a_copy_has_the_dtype_asked_for(here):
    array = here.from_numpy(np.ones(2), dtype="float32")
    assert "float32" in str(array.dtype)


# Any namespace of the standard


@pytest.mark.parametrize(
    "product", [lambda f, x: STRICT.vjp(f, (x,)), lambda f, x: STRICT.jvp(f, (x,), (x,))]
)
def test_a_namespace_without_an_adapter_does_not_differentiate(product):
    with pytest.raises(NotImplementedError, match="array_api_strict does not differentiate"):
        product(array_api_strict.sum, array_api_strict.ones(2))


def test_a_namespace_owns_its_own_arrays_only():
    assert STRICT.owns(array_api_strict.ones(2))
    assert not STRICT.owns(np.ones(2))
    assert not STRICT.owns([1.0])
