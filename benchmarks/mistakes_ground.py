"""Fresh functions with gradients by hand, on which no diagnosis was tuned: odd scales, shapes, trees and precisions."""

__all__ = ["FRESH"]

from typing import Any

import numpy as np

from gradproof.arrays import Array, Namespace, namespace
from gradproof.problems import Problem
from mistakes_statistics import (
    counts,
    counts_gradient,
    normal,
    normal_gradient,
    process,
    process_gradient,
    pseudo_huber,
    pseudo_huber_gradient,
    sequence,
    sequence_gradient,
    softmax_regression,
    softmax_regression_gradient,
)


def _xp(params: Any) -> Namespace:
    return namespace(*(params.values() if isinstance(params, dict) else params))


def _random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def _spring(x: Array, stiffness: Array, rest: Array) -> Array:
    return 1e-6 * namespace(x).sum(stiffness * (x - rest) ** 4) / 4


def _spring_gradient(x: Array, stiffness: Array, rest: Array) -> Array:
    return 1e-6 * stiffness * (x - rest) ** 3


def _morse(r: Array, depth: float, width: float, rest: float) -> Array:
    xp = namespace(r)
    return depth * xp.sum((1 - xp.exp(-width * (r - rest))) ** 2)


def _morse_gradient(r: Array, depth: float, width: float, rest: float) -> Array:
    decay = namespace(r).exp(-width * (r - rest))
    return 2 * depth * width * decay * (1 - decay)


def _states(params: Any, inputs: Array) -> list[Array]:
    xp = _xp(params)
    states = [xp.zeros_like(params["bias"])]
    for t in range(inputs.shape[0]):
        states.append(xp.tanh(params["into"] @ inputs[t, :] + params["back"] @ states[-1] + params["bias"]))
    return states


def _recurrent(params: Any, inputs: Array, target: Array) -> Array:
    error = params["out"] @ _states(params, inputs)[-1] - target
    return 0.5 * _xp(params).sum(error * error)


def _recurrent_gradient(params: Any, inputs: Array, target: Array) -> Any:
    xp, states = _xp(params), _states(params, inputs)
    error = params["out"] @ states[-1] - target
    slopes = {name: xp.zeros_like(leaf) for name, leaf in params.items()}
    slopes["out"] = error[:, None] * states[-1][None, :]
    pulled = params["out"].T @ error
    for t in range(inputs.shape[0], 0, -1):
        delta = pulled * (1 - states[t] ** 2)
        slopes["into"] = slopes["into"] + delta[:, None] * inputs[t - 1, :][None, :]
        slopes["back"] = slopes["back"] + delta[:, None] * states[t - 1][None, :]
        slopes["bias"] = slopes["bias"] + delta
        pulled = params["back"].T @ delta
    return slopes


def _factors(params: Any, ratings: Array, known: Array, lam: float) -> Array:
    xp, (users, items) = _xp(params), params
    error = known * (users @ items.T - ratings)
    return 0.5 * xp.sum(error * error) + 0.5 * lam * (xp.sum(users * users) + xp.sum(items * items))


def _factors_gradient(params: Any, ratings: Array, known: Array, lam: float) -> Any:
    users, items = params
    error = known * (users @ items.T - ratings)
    return (error @ items + lam * users, error.T @ users + lam * items)


def _normalised(params: Any, x: Array, epsilon: float) -> tuple[Array, Array]:
    xp = _xp(params)
    z = x @ params["weight"]
    centred = z - xp.mean(z, axis=0, keepdims=True)
    deviation = xp.sqrt(xp.mean(centred * centred, axis=0, keepdims=True) + epsilon)
    return centred / deviation, deviation


def _batch_norm(params: Any, x: Array, readout: Array, epsilon: float) -> Array:
    xp = _xp(params)
    return xp.sum(readout * xp.tanh(params["gain"] * _normalised(params, x, epsilon)[0] + params["shift"]))


def _batch_norm_gradient(params: Any, x: Array, readout: Array, epsilon: float) -> Any:
    xp = _xp(params)
    unit, deviation = _normalised(params, x, epsilon)
    delta = readout * (1 - xp.tanh(params["gain"] * unit + params["shift"]) ** 2)
    pulled = delta * params["gain"]
    along = xp.mean(pulled * unit, axis=0, keepdims=True)
    back = (pulled - xp.mean(pulled, axis=0, keepdims=True) - unit * along) / deviation
    return {"weight": x.T @ back, "gain": xp.sum(delta * unit, axis=0), "shift": xp.sum(delta, axis=0)}


def _smoothing(x: Array, signal: Array, kappa: float) -> Array:
    xp = namespace(x)
    return 0.5 * kappa * xp.sum((x[1:] - x[:-1]) ** 2) + xp.sum(xp.log1p((x - signal) ** 2))


def _smoothing_gradient(x: Array, signal: Array, kappa: float) -> Array:
    xp, steps, end = namespace(x), x[1:] - x[:-1], namespace(x).zeros_like(x[:1])
    pull = 2 * (x - signal) / (1 + (x - signal) ** 2)
    return kappa * (xp.concat([end, steps]) - xp.concat([steps, end])) + pull


def _logistic(z: Array) -> Array:
    return 1 / (1 + namespace(z).exp(-z))


def _gates(params: Any) -> Array:
    """Six leaves of one shape: one step of a cell with three gates."""
    xp, p = _xp(params), params
    cell = _logistic(p["forget"]) * p["cell"] + _logistic(p["input"]) * xp.tanh(p["fresh"])
    return xp.sum(_logistic(p["output"]) * xp.tanh(cell) * p["readout"])


def _gates_gradient(params: Any) -> Any:
    xp, p = _xp(params), params
    forget, admit, give, fresh = (
        _logistic(p["forget"]), _logistic(p["input"]), _logistic(p["output"]), xp.tanh(p["fresh"]),
    )  # fmt: skip
    squashed = xp.tanh(forget * p["cell"] + admit * fresh)
    delta = give * p["readout"] * (1 - squashed**2)
    return {
        "forget": delta * p["cell"] * forget * (1 - forget), "cell": delta * forget,
        "input": delta * fresh * admit * (1 - admit), "fresh": delta * admit * (1 - fresh**2),
        "output": squashed * p["readout"] * give * (1 - give), "readout": give * squashed,
    }  # fmt: skip


def _oscillation(params: Any, times: Array, heights: Array) -> Array:
    """Four leaves of one entry each: (), (), (1,) and (1, 1)."""
    xp, p = _xp(params), params
    wave = p["amplitude"] * xp.exp(-p["rate"] * times) * xp.cos(2 * times + p["phase"][0, 0])
    return xp.mean((wave + p["offset"][0] - heights) ** 2)


def _oscillation_gradient(params: Any, times: Array, heights: Array) -> Any:
    xp, p = _xp(params), params
    fading, angle = xp.exp(-p["rate"] * times), 2 * times + p["phase"][0, 0]
    error = 2 * (p["amplitude"] * fading * xp.cos(angle) + p["offset"][0] - heights) / times.shape[0]
    return {
        "amplitude": xp.sum(error * fading * xp.cos(angle)),
        "rate": xp.sum(-error * times * p["amplitude"] * fading * xp.cos(angle)),
        "phase": xp.reshape(xp.sum(-error * p["amplitude"] * fading * xp.sin(angle)), (1, 1)),
        "offset": xp.reshape(xp.sum(error), (1,)),
    }


def _heads(params: Any, x: Array, readout: Array) -> Array:
    """A leaf of three axes (heads, in, out)."""
    xp, weight = _xp(params), params[0]
    z = xp.stack([x @ weight[h, :, :] for h in range(weight.shape[0])])
    return xp.sum(readout[:, None, None] * xp.sqrt(1 + (z + params[1]) ** 2))


def _heads_gradient(params: Any, x: Array, readout: Array) -> Any:
    xp, weight = _xp(params), params[0]
    z = xp.stack([x @ weight[h, :, :] for h in range(weight.shape[0])]) + params[1]
    delta = readout[:, None, None] * z / xp.sqrt(1 + z**2)
    return [xp.stack([x.T @ delta[h, :, :] for h in range(weight.shape[0])]), xp.sum(delta, axis=(0, 1))]


def _dense(params: Any, x: Array) -> Array:
    """An array: the claim is a pull-back."""
    return _xp(params).tanh(x @ params["weight"] + params["bias"])


def _dense_pulled(cotangent: Array, params: Any, x: Array) -> Any:
    delta = cotangent * (1 - _dense(params, x) ** 2)
    return {"weight": x.T @ delta, "bias": _xp(params).sum(delta, axis=0)}


def _distances(n: int, seed: int) -> Any:
    x = _random(n, seed=seed)
    return (x[:, None] - x[None, :]) ** 2


def _one_hot(rows: int, columns: int) -> Any:
    return np.eye(columns)[np.arange(rows) * 2 % columns]


def _named(names: str, *shape: int, seed: int) -> dict[str, Any]:
    return {name: _random(*shape, seed=seed + i) for i, name in enumerate(names.split())}


_MASK = (np.arange(5) < 3).astype(float)[:, None]

FRESH: tuple[Problem, ...] = (
    Problem("springs, 1e-6", _spring, _random(12, seed=101), (1 + _random(12, seed=102) ** 2, _random(12, seed=103)), _spring_gradient),
    Problem("Morse, 1e6", _morse, 1.5 + 0.3 * _random(2, 4, seed=104), (1e6, 0.8, 1.2), _morse_gradient),
    Problem("softmax regression", softmax_regression, {"weight": _random(6, 4, seed=105), "bias": _random(4, seed=106)},
            (_random(14, 6, seed=107), _one_hot(14, 4), 0.03), softmax_regression_gradient),
    Problem("recurrent", _recurrent,
            {"into": _random(5, 3, seed=108), "back": 0.5 * _random(5, 5, seed=109), "bias": _random(5, seed=110), "out": _random(2, 5, seed=111)},
            (_random(4, 3, seed=112), _random(2, seed=113)), _recurrent_gradient),
    Problem("matrix factorisation", _factors, (_random(6, 3, seed=114), _random(8, 3, seed=115)),
            (_random(6, 8, seed=116), (_random(6, 8, seed=117) > 0).astype(float), 0.2), _factors_gradient),
    Problem("batch norm", _batch_norm, {"weight": _random(4, 5, seed=118), "gain": 1 + 0.3 * _random(5, seed=119), "shift": _random(5, seed=120)},
            (_random(10, 4, seed=121), _random(10, 5, seed=122), 1e-3), _batch_norm_gradient),
    Problem("smoothing, 500", _smoothing, _random(500, seed=123), (_random(500, seed=124), 3.0), _smoothing_gradient),
    Problem("gates", _gates, _named("forget cell input fresh output readout", 3, 4, seed=125), (), _gates_gradient),
    Problem("oscillation", _oscillation, {"amplitude": np.asarray(1.3), "rate": np.asarray(0.4), "phase": np.asarray([[0.7]]), "offset": np.asarray([-0.2])},
            (np.linspace(0, 3, 11), _random(11, seed=131)), _oscillation_gradient),
    Problem("heads", _heads, [_random(3, 5, 2, seed=132), _random(2, seed=133)], (_random(7, 5, seed=134), 1 + _random(3, seed=135) ** 2), _heads_gradient),
    Problem("pseudo-Huber, float32", pseudo_huber, _random(8, seed=136).astype(np.float32),
            (_random(16, 8, seed=137).astype(np.float32), _random(16, seed=138).astype(np.float32), 0.5), pseudo_huber_gradient),
    Problem("padded sequence", sequence, _random(5, 7, seed=139), (_one_hot(5, 7), _MASK), sequence_gradient),
    Problem("normal, log σ", normal, {"mean": _random(6, seed=140), "log_sigma": 0.3 * _random(6, seed=141)}, (_random(30, 6, seed=142),), value_and_grad=normal_gradient),
    Problem("Gaussian process", process, 0.3 * _random(3, seed=143), (_distances(12, 144), _random(12, seed=145)), process_gradient),
    Problem("Poisson regression", counts, {"slope": 0.4 * _random(7, seed=146), "intercept": np.asarray([0.3])},
            (_random(25, 7, seed=147), np.floor(4 * np.abs(_random(25, seed=148))), 1 + np.abs(_random(25, seed=149))), counts_gradient),
    Problem("dense layer, vjp", _dense, {"weight": 0.6 * _random(4, 3, seed=150), "bias": _random(3, seed=151)},
            (_random(6, 4, seed=152),), vjp=_dense_pulled),
)  # fmt: skip
"""Every gradient has to AGREE before a mistake is planted in it."""
