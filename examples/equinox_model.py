"""An Equinox model is a tree of arrays, and is checked as it is: leaf by leaf, under the names of its fields.

Its loss has a derivative of its own (`jax.custom_vjp`): that of the cross-entropy in the logits is just p − y. It is
right. Then somebody freezes the encoder for a day with `stop_gradient` and forgets it there. Nothing fails, and the head
still learns; but the function does move with the encoder, and its values say so.

A model that holds more than arrays (`eqx.nn.MLP` keeps its activation) is split first: `eqx.partition(model, eqx.is_array)`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from gradproof import Verdict, check

jax.config.update("jax_enable_x64", True)


class Classifier(eqx.Module):
    """Logit of an input (4,): two linear layers with a tanh between them."""

    encoder: eqx.nn.Linear
    head: eqx.nn.Linear
    frozen: bool = eqx.field(static=True)

    def __init__(self, key, frozen):
        first, second = jax.random.split(key)
        self.encoder = eqx.nn.Linear(4, 6, key=first)
        self.head = eqx.nn.Linear(6, "scalar", key=second)
        self.frozen = frozen

    def __call__(self, x):
        features = jnp.tanh(self.encoder(x))
        return self.head(jax.lax.stop_gradient(features) if self.frozen else features)


@jax.custom_vjp
def cross_entropy(logits, y):
    """Mean over the examples, for y of 0 and 1; finite for logits of any size."""
    return jnp.mean(jnp.logaddexp(0.0, logits) - y * logits)


def forward(logits, y):
    return cross_entropy(logits, y), (logits, y)


def backward(saved, cotangent):
    logits, y = saved
    return cotangent * (jax.nn.sigmoid(logits) - y) / len(y), None  # the labels are no parameters


cross_entropy.defvjp(forward, backward)


def check_classifier(*, frozen):
    model = Classifier(jax.random.key(0), frozen)
    x = jax.random.normal(jax.random.key(1), (20, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(float)

    @eqx.filter_jit
    def loss(model, x, y):
        return cross_entropy(jax.vmap(model)(x), y)

    report = check(loss, model, args=(x, y), sources=["numeric", "jax"])
    print(f"\nEncoder {'frozen' if frozen else 'trained'}\n{report}")
    return report


right = check_classifier(frozen=False)
assert right.verdict is Verdict.AGREES

wrong = check_classifier(frozen=True)
assert wrong.verdict is Verdict.DISAGREES
assert {(d.code, d.leaves) for d in wrong.diagnoses} == {("GP106", ("encoder.bias", "encoder.weight"))}
