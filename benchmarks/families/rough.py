"""Functions with noise, kinks and steps."""

from typing import Any

import numpy as np

from families.registry import either_sign, family, log_uniform, normal, uniform

# noise


def _random(low: float, high: float) -> Any:
    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        amplitude = log_uniform(rng, low, high) if low < high else low
        return uniform(rng, -3, 3), uniform(rng, 0.5, 2), amplitude, rng.spawn(1)[0]

    return draw


def _normal_noise(m: Any, x: Any, a: Any, amplitude: Any, rng: np.random.Generator) -> Any:
    """2 + sin(a·x), every call with new normal noise."""
    return m.noise(2 + m.sin(a * x), amplitude * rng.standard_normal())


for _size in (1e-9, 1e-6, 1e-3):
    family("noise", _random(_size, _size), seen=True, name=f"random noise {_size:g}")(_normal_noise)


@family("noise", _random(1e-12, 1e-4))
def pseudo_noise(m: Any, x: Any, a: Any, amplitude: Any, _: Any) -> Any:
    """2 + sin(a·x) times 1 ± 1e−12 … 1e−4, hashed from x."""
    return m.pseudo_noise(2 + m.sin(a * x), x, amplitude)


@family("noise", _random(1e-9, 1e-3))
def uniform_noise(m: Any, x: Any, a: Any, amplitude: Any, rng: np.random.Generator) -> Any:
    """exp(a·x), every call with new uniform noise of 1e−9 … 1e−3."""
    return m.noise(m.exp(a * x), amplitude * rng.uniform(-1, 1))


@family("noise", lambda r: (normal(r, 6), normal(r, 6), log_uniform(r, 1e-12, 1e-5)))
def pseudo_noise_of_six(m: Any, x: Any, a: Any, amplitude: Any) -> Any:
    """log(1 + (a·x)² + x·x) times 1 ± 1e−12 … 1e−5, hashed from six variables."""
    return m.pseudo_noise(m.log(1 + (a @ x) ** 2 + x @ x), x, amplitude)


@family("noise", _random(1e-13, 1e-6))
def occasional_noise(m: Any, x: Any, a: Any, amplitude: Any, rng: np.random.Generator) -> Any:
    """2 + sin(a·x), one call in four greater by 1e−13 … 1e−6."""
    return m.noise(2 + m.sin(a * x), amplitude * float(rng.uniform() < 0.25))


@family("noise", lambda r: (uniform(r, -3, 3), uniform(r, 0.5, 2)), seen=True)
def single_inside(m: Any, x: Any, a: Any) -> Any:
    """sin of a float32 a·x, returned as float64."""
    return m.sin(m.single(a * x)) * 1


@family("noise", lambda r: (uniform(r, 0.2, 3), log_uniform(r, 1e5, 1e12)))
def rounded_output(m: Any, x: Any, n: Any) -> Any:
    """exp(x) rounded to 1/n, n from 1e5 to 1e12, for all to see as noise."""
    return m.quantised(m.exp(x), 1 / n)


# kinks


def _near(low: float) -> Any:
    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        edge = uniform(rng, -2, 2)
        return edge + either_sign(rng, low, 1), edge, uniform(rng, 0.5, 2)

    return draw


@family("kinked", lambda r: (either_sign(r, 1e-10, 1), uniform(r, 0.5, 2)), seen=True)
def rectified(m: Any, x: Any, a: Any) -> Any:
    """max(x, 0) + sin(a·x), |x| from 1e−10."""
    return m.maximum(x, 0) + m.sin(a * x)


@family("kinked", lambda r: (either_sign(r, 1e-10, 1), uniform(r, 0.5, 2)), seen=True)
def absolute_value(m: Any, x: Any, a: Any) -> Any:
    """|x|·exp(a·x), |x| from 1e−10."""
    return abs(x) * m.exp(a * x)


@family("kinked", lambda r: (uniform(r, 2, 2.99), 3.0), seen=True)
def dead_unit(m: Any, x: Any, c: Any) -> Any:
    """max(x − 3, 0), x below 3."""
    return m.maximum(x - c, 0)


@family("kinked", _near(1e-10))
def larger_of_two(m: Any, x: Any, c: Any, a: Any) -> Any:
    """max(exp(a·(x − c)), 1 − sin(x − c)), crossing from 1e−10 off x."""
    return m.maximum(m.exp(a * (x - c)), 1 - m.sin(x - c))


@family("kinked", _near(1e-10))
def clipped(m: Any, x: Any, c: Any, a: Any) -> Any:
    """min(max(a·(x − c), −½), 0) + cos(x), kink from 1e−10 off x."""
    return m.minimum(m.maximum(a * (x - c), -0.5), 0) + m.cos(x)


@family("kinked", lambda r: (normal(r, 4), uniform(r, -3, 3, 20, 4)))
def nearest_centre(m: Any, x: Any, centres: Any) -> Any:
    """min over 20 centres of |x − c|², four variables."""
    return -m.max(-m.sum((x - centres) ** 2, axis=1))


def _lasso(rng: np.random.Generator) -> tuple[Any, ...]:
    x = normal(rng, 8) * (rng.uniform(size=8) < 0.6) + 1e-6 * normal(rng, 8)
    return x, normal(rng, 12, 8), normal(rng, 12), log_uniform(rng, 0.1, 10)


@family("kinked", _lasso)
def lasso(m: Any, x: Any, a: Any, b: Any, weight: Any) -> Any:
    """|A·x − b|² + w·Σ|x|, some entries ~1e−6, eight variables."""
    return m.sum((a @ x - b) ** 2) + weight * m.sum(abs(x))


@family("kinked", lambda r: (uniform(r, -1, 1), uniform(r, -1.5, 1.5, 200), normal(r, 200)))
def many_kinks(m: Any, x: Any, c: Any, w: Any) -> Any:
    """Σ w·|x − c|, 200 kinks within 3."""
    return m.sum(w * abs(x - c))


@family("kinked", _near(1e-10))
def huber(m: Any, x: Any, c: Any, a: Any) -> Any:
    """Huber's loss, its second derivative's jump from 1e−10 off x."""
    d = abs(x - c + a)
    return m.where(d < a, d * d / 2, a * (d - a / 2))


@family("kinked", _near(1e-10))
def power_of_distance(m: Any, x: Any, c: Any, a: Any) -> Any:
    """|x − c|^1.5 + a·x, x − c from 1e−10."""
    return abs(x - c) ** 1.5 + a * x


@family("kinked", lambda r: (uniform(r, -2, 2, 9), normal(r, 9)))
def sorted_weights(m: Any, x: Any, w: Any) -> Any:
    """Σ w·sort(x)², nine variables."""
    return m.sum(w * m.sort(x) ** 2)


def _at_the_edge(rng: np.random.Generator) -> tuple[float, ...]:
    edge = uniform(rng, 0.5, 2)
    return edge, edge, uniform(rng, 0.5, 2)


@family("kinked", _at_the_edge)
def kink_at_the_point(m: Any, x: Any, c: Any, a: Any) -> Any:
    """a·|x − c| + sin(x) at x = c: no derivative."""
    return a * abs(x - c) + m.sin(x)


def network(*sizes: int) -> Any:
    """Draws an input, and weights and biases of a network of these layers."""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        weights = [normal(rng, *shape) * np.sqrt(2 / shape[1]) for shape in shapes]
        return normal(rng, sizes[0]), weights, [normal(rng, shape[0]) / 4 for shape in shapes]

    return draw


def relu_network(m: Any, x: Any, weights: Any, biases: Any) -> Any:
    """ReLU network as a function of its input."""
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = m.maximum(weight @ x + bias, 0)
    return (weights[-1] @ x + biases[-1])[0]


for _sizes in ((3, 8, 1), (4, 16, 16, 1), (10, 64, 1), (6, 12, 12, 12, 1)):
    family("kinked", network(*_sizes), name="ReLU network " + "-".join(map(str, _sizes)))(relu_network)


def _training(rng: np.random.Generator) -> tuple[Any, ...]:
    return [normal(rng, 5, 3), normal(rng, 5) / 4, normal(rng, 5)], normal(rng, 6, 3), normal(rng, 6)


@family("kinked", _training, name="ReLU training loss")
def relu_training_loss(m: Any, x: Any, inputs: Any, targets: Any) -> Any:
    """Mean square error of a 3-5-1 ReLU network as a function of its weights."""
    first, bias, second = x
    hidden = m.maximum(inputs @ first.T + bias, 0)
    return m.sum((hidden @ second - targets) ** 2) / 6


# steps


@family("stepped", lambda r: (uniform(r, -1, 1), 1000.0), seen=True)
def staircase(m: Any, x: Any, n: Any) -> Any:
    """x rounded to 1/1000."""
    return m.rint(x * n) / n


@family("stepped", lambda r: (uniform(r, 0.2, 3), log_uniform(r, 2, 1e4)))
def coarse_staircase(m: Any, x: Any, n: Any) -> Any:
    """exp(x) rounded to 1/n, n from 2 to 1e4; the true slope is 0."""
    return m.rint(m.exp(x) * n) / n


@family("stepped", lambda r: (uniform(r, -5, 5), log_uniform(r, 0.1, 1e4)))
def sawtooth(m: Any, x: Any, n: Any) -> Any:
    """n·x − ⌊n·x⌋, n to 1e4."""
    return n * x - m.floor(n * x)


@family("stepped", _near(1e-10))
def jump_nearby(m: Any, x: Any, c: Any, a: Any) -> Any:
    """sin(x) + a if x > c, jump from 1e−10 off x."""
    return m.sin(x) + m.where(x > c, a, 0)


@family("stepped", _at_the_edge)
def jump_at_the_point(m: Any, x: Any, c: Any, a: Any) -> Any:
    """sin(x) + a if x > c at x = c: no derivative."""
    return m.sin(x) + m.where(x > c, a, 0)


@family("stepped", lambda r: (uniform(r, 0, 1), np.cumsum(normal(r, 65))))
def table(m: Any, x: Any, values: Any) -> Any:
    """Linear interpolation between 65 random values."""
    place = 64 * x
    at = min(max(int(place), 0), 63)
    return values[at] + (place - at) * (values[at + 1] - values[at])
