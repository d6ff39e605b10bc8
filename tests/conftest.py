"""One test body for every array namespace, the strict one first."""

import contextlib
import importlib

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # a busy machine is no counterexample
settings.load_profile("unhurried")

NAMESPACES = ("array_api_strict", "numpy", "torch", "jax.numpy")
AUTODIFF = ("torch", "jax.numpy")


@contextlib.contextmanager
def double_precision(name):
    """The module `name`, able to hold float64; no switch stays flipped."""
    module = pytest.importorskip(name)
    if name != "jax.numpy":
        yield module
        return
    with importlib.import_module("jax").enable_x64(True):
        yield module


@pytest.fixture(params=NAMESPACES)
def xp(request):
    with double_precision(request.param) as module:
        yield module


@pytest.fixture(params=AUTODIFF)
def autodiff(request):
    """`(xp, gradient)` of a framework: gradient(f, theta) is its own derivative of f at the flat theta."""
    with double_precision(request.param) as module:
        yield module, {"torch": torch_gradient, "jax.numpy": jax_gradient}[request.param]


def torch_gradient(f, theta):
    theta = theta.detach().clone().requires_grad_()
    f(theta).backward()
    return theta.grad


def jax_gradient(f, theta):
    return importlib.import_module("jax").grad(f)(theta)


def host(x):
    """NumPy copy of an array of any of the namespaces."""
    return np.asarray(x.detach() if hasattr(x, "detach") else x).copy()


def central_difference(f, theta, step=1e-5):
    """Gradient of f at a NumPy theta by central differences, entry by entry."""
    steps = step * np.eye(theta.size)
    return np.array([(f(theta + e) - f(theta - e)) / (2 * step) for e in steps])
