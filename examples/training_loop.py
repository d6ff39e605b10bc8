"""A training loop with a bug that its loss curve does not show: the backward pass reads another point's activations.

The model keeps what its last forward pass computed, and the gradient uses it: quick, and right as long as the loss was
asked for at the same weights just before. Nesterov's momentum asks for the gradient elsewhere, at the point to which the
momentum will carry the weights. It gets a mixture of two points, and the loss falls all the same.
"""

import numpy as np

from gradproof import Verdict, check

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 5))
y = np.sin(x @ rng.normal(size=5))
start = {"inner": 0.5 * rng.normal(size=(5, 8)), "outer": 0.5 * rng.normal(size=8)}


class Model:
    """One hidden layer of tanh units; its mean squared error, and the gradient by hand."""

    def loss(self, params):
        self.hidden = np.tanh(x @ params["inner"])
        self.errors = self.hidden @ params["outer"] - y
        return np.mean(self.errors**2)

    def backward(self, params):
        slope = 2 * self.errors / len(y)
        inward = np.outer(slope, params["outer"]) * (1 - self.hidden**2)
        return {"inner": x.T @ inward, "outer": self.hidden.T @ slope}

    def gradient(self, params):
        self.loss(params)
        return self.backward(params)


class StaleModel(Model):
    def gradient(self, params):
        return self.backward(params)  # "the forward pass has just been run"


def train(model, steps=201, rate=0.05, momentum=0.9):
    """The losses of every step, by gradient descent with Nesterov's momentum."""
    params, velocity, losses = start, dict.fromkeys(start, 0.0), []
    for _ in range(steps):
        losses.append(model.loss(params))
        slopes = model.gradient({name: p + momentum * velocity[name] for name, p in params.items()})
        velocity = {name: momentum * velocity[name] - rate * slopes[name] for name in params}
        params = {name: p + velocity[name] for name, p in params.items()}
    return losses


def train_and_check(model):
    print(f"\n{type(model).__name__}")
    print("loss after 0, 50, … steps:", "  ".join(f"{value:.4f}" for value in train(model)[::50]))
    report = check(model.loss, start, grad=model.gradient, sources=["numeric", "hand"])
    print(report)
    return report


right = train_and_check(Model())
assert right.verdict is Verdict.AGREES

stale = train_and_check(StaleModel())
assert stale.verdict is Verdict.DISAGREES
assert [d.code for d in stale.diagnoses] == ["GP115"]
