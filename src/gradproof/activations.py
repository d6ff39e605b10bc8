"""What a unit does with its input: functions of z, entry by entry, with the derivative written by hand.

Written so that automatic differentiation of them is right where a careless form is not: at z = 0 exactly (zero
initialisation), where abs() and ties of max() have the wrong slope, and far out, where exp() overflows.
"""

__all__ = ["ACTIVATIONS", "Activation", "sigmoid", "softplus"]

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gradproof.arrays import Array, Namespace


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of z, entry by entry, and its derivative, computed from z and a = function(z)."""

    name: str
    function: Callable[[Array, Namespace], Array]
    derivative: Callable[[Array, Array, Namespace], Array]


_SATURATED = 40.0
"""From here on sigmoid(z) rounds to 1 and softplus(z) to z in float64, while exp(z) does not overflow in float32.

With it exp(z)/(1 + exp(z)) keeps its relative accuracy for z << 0; and where a·(1 - a) is 0, autodiff has 0 as well.
"""


def _relu(z: Array, xp: Namespace) -> Array:
    return xp.where(z > 0, z, 0.0)


def sigmoid(z: Array, xp: Namespace) -> Array:
    """1 / (1 + exp(−z)), shape of z; accurate for z ≪ 0, no overflow."""
    power = xp.exp(xp.minimum(z, _SATURATED))
    return power / (1.0 + power)


def softplus(z: Array, xp: Namespace) -> Array:
    """log(1 + exp(z)), shape of z; no overflow."""
    low = xp.minimum(z, _SATURATED)
    return xp.log1p(xp.exp(low)) + (z - low)


# GELU in the tanh form of Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2: the exact one needs erf, which
# the array API does not have. z·(1 + tanh(u))/2 is written z·sigmoid(2u), which does not cancel for z << 0.


def _gelu_gate(z: Array) -> Array:
    return math.sqrt(8.0 / math.pi) * (z + 0.044715 * z * z * z)


def _gelu(z: Array, xp: Namespace) -> Array:
    return z * sigmoid(_gelu_gate(z), xp)


def _gelu_derivative(z: Array, _a: Array, xp: Namespace) -> Array:
    s = sigmoid(_gelu_gate(z), xp)
    return s + z * s * (1.0 - s) * (math.sqrt(8.0 / math.pi) * (1.0 + 3 * 0.044715 * z * z))


ACTIVATIONS: Mapping[str, Activation] = {
    "sigmoid": Activation("sigmoid", sigmoid, lambda _z, a, _xp: a * (1.0 - a)),
    "tanh": Activation("tanh", lambda z, xp: xp.tanh(z), lambda _z, a, _xp: 1.0 - a * a),
    "relu": Activation("relu", _relu, lambda z, _a, xp: xp.astype(z > 0, z.dtype)),
    "softplus": Activation("softplus", softplus, lambda _z, a, xp: -xp.expm1(-a)),
    "gelu": Activation("gelu", _gelu, _gelu_derivative),
    "identity": Activation("identity", lambda z, _xp: z, lambda z, _a, xp: xp.ones_like(z)),
}
