"""Mistakes in the backward pass of a Network: every fault is a Network of its own, whose forward pass is right."""

__all__ = ["BACKWARD", "FaultyNetwork", "Plan"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from gradproof.arrays import Array, Namespace
from gradproof.faults.claims import scene_of
from gradproof.faults.fault import Fault, Planter
from gradproof.network import Layer, Network
from gradproof.problems import Problem

Residual = Callable[[Array], Array]
Slope = Callable[[Network, Array, Array, Namespace], Array]
"""From the network, z and a of a layer to the activation's derivative."""


@dataclass(frozen=True)
class Plan:
    """What a faulty network does; every field is a step of the backward pass, as it is when it is right."""

    residual: Residual = lambda delta: delta
    """From dJ/dz of the last layer to what stands in its place."""
    slope: Slope = lambda network, z, a, xp: network.activation.derivative(z, a, xp)
    only_last: bool = False
    """Whether `slope` is used in the last hidden layer alone."""
    weight: Callable[[Array], Array] = lambda weight: weight
    """From a weight (out, in) to what the delta is multiplied by."""
    step: Callable[[Array], Array] = lambda delta: delta
    """From the delta of the last hidden layer to what stands in its place."""
    decay: Callable[[float, int], float] = lambda lam, _m: lam
    """From λ and the number of examples to the λ that is used."""
    slopes: Callable[[list[Layer], Sequence[Layer], float, int], list[Layer]] = lambda slopes, *_: slopes
    """From the finished gradient, the layers, λ and the number of examples to what is returned."""


class FaultyNetwork(Network):
    """A Network that goes backwards as its plan says."""

    plan: Plan

    def __init__(self, right: Network, plan: Plan) -> None:
        for field in fields(right):
            object.__setattr__(self, field.name, getattr(right, field.name))
        object.__setattr__(self, "plan", plan)

    def _deltas(self, forward: Any, y: Array) -> tuple[Array, ...]:
        layers, inputs, sums, xp = forward
        deltas = [self.plan.residual(self.objective.residual(sums[-1], y, xp) / y.shape[0])]
        for i in range(len(layers) - 1, 0, -1):
            pulled = deltas[-1] @ self.plan.weight(layers[i].weight)
            last = i == len(layers) - 1
            slope = self.plan.slope if last or not self.plan.only_last else Plan.slope
            delta = pulled * slope(self, sums[i - 1], inputs[i], xp)
            deltas.append(self.plan.step(delta) if last else delta)
        return tuple(reversed(deltas))

    def _gradient(self, forward: Any, params: Any, y: Array, lam: Any) -> Any:
        m = y.shape[0]
        right = Network._gradient(self, forward, tuple(forward.layers), y, self.plan.decay(lam, m))
        slopes = tuple(self.plan.slopes(list(right), forward.layers, lam, m))
        return type(params)(slopes) if isinstance(params, tuple | list) else self.flatten(slopes)


def _in_network(plan: Plan) -> Planter:
    """A fault in the backward pass of a Problem whose claim is a method of a Network."""

    def planted(problem: Problem) -> Problem | None:
        form = "grad" if problem.grad is not None else "value_and_grad"
        claim = getattr(problem, form)
        right = getattr(claim, "__self__", None)
        if not isinstance(right, Network) or isinstance(right, FaultyNetwork):
            return None
        wrong = getattr(FaultyNetwork(right, plan), claim.__name__)
        faulty = replace(problem, name=f"{problem.name}, faulty", **{form: wrong})
        scene, other = scene_of(problem), scene_of(faulty)
        return faulty if scene and other and scene.differs(other.moment.gradient) else None

    return planted


def _ones(_network: Network, z: Array, _a: Array, xp: Namespace) -> Array:
    return xp.ones_like(z)


def _at_activation(network: Network, _z: Array, a: Array, xp: Namespace) -> Array:
    return network.activation.derivative(a, network.activation.function(a, xp), xp)


def _bias_decayed(slopes: list[Layer], layers: Sequence[Layer], lam: float, m: int) -> list[Layer]:
    return [Layer(g.weight, g.bias + lam / m * p.bias) for g, p in zip(slopes, layers, strict=True)]


def _bias_averaged(slopes: list[Layer], _layers: Sequence[Layer], _lam: float, m: int) -> list[Layer]:
    return [Layer(g.weight, g.bias / m) for g in slopes]


def _summed(slopes: list[Layer], _layers: Sequence[Layer], _lam: float, m: int) -> list[Layer]:
    return [Layer(m * g.weight, m * g.bias) for g in slopes]


def _bias_forgotten(slopes: list[Layer], *_: Any) -> list[Layer]:
    return [Layer(slopes[0].weight, 0.0 * slopes[0].bias), *slopes[1:]]


def _square_turned(weight: Array) -> Array:
    return weight.T if weight.shape[0] == weight.shape[1] else weight


# A mistake at the last layer scales every leaf alike where λ is 0.
BACKWARD = (
    Fault("no-derivative", "the activation's derivative is left out", ("GP125",), _in_network(Plan(slope=_ones))),
    Fault("one-layer-linear", "the activation's derivative is left out in the last hidden layer",
          ("GP125",), _in_network(Plan(slope=_ones, only_last=True))),
    Fault("slope-at-output", "the activation's derivative is taken at the unit's output, not at its sum",
          ("GP125",), _in_network(Plan(slope=_at_activation))),
    Fault("residual-flipped", "target − output stands where output − target is due",
          ("GP125", "GP102"), _in_network(Plan(residual=lambda delta: -delta))),
    Fault("residual-doubled", "the derivative of the loss is twice too large",
          ("GP125", "GP101"), _in_network(Plan(residual=lambda delta: 2.0 * delta))),
    Fault("weight-turned", "a square weight is multiplied from the wrong side on the way back",
          ("GP125",), _in_network(Plan(weight=_square_turned))),
    Fault("delta-doubled", "the delta of the last hidden layer is twice too large",
          ("GP125", "GP101"), _in_network(Plan(step=lambda delta: 2.0 * delta))),
    Fault("bias-averaged", "the gradient of a bias is the mean over the examples of what has to be summed",
          ("GP104", "GP101"), _in_network(Plan(slopes=_bias_averaged))),
    Fault("bias-regularised", "the bias is regularised too", ("GP121",), _in_network(Plan(slopes=_bias_decayed))),
    Fault("not-regularised", "the regularisation is left out of the gradient",
          ("GP121", "GP130"), _in_network(Plan(decay=lambda _lam, _m: 0.0))),
    Fault("penalty-doubled", "the penalty's gradient is twice too large",
          ("GP121",), _in_network(Plan(decay=lambda lam, _m: 2.0 * lam))),
    Fault("penalty-summed", "the penalty's gradient lacks the factor 1/m",
          ("GP121",), _in_network(Plan(decay=lambda lam, m: m * lam))),
    Fault("not-averaged", "the factor 1/m is left out", ("GP104", "GP101"), _in_network(Plan(slopes=_summed))),
    Fault("bias-forgotten", "the first layer's bias has gradient zero", ("GP106",), _in_network(Plan(slopes=_bias_forgotten))),
)  # fmt: skip
