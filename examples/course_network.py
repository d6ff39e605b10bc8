"""The exercise that gradient checking is taught with: backprop of a network with 3 inputs, 5 hidden units, 3 classes.

First the course's table, one row per parameter: backprop beside central differences, now with JAX and PyTorch. Then what
the table cannot show: started at zero, the network has a right gradient too, and five hidden units that never differ.
Last a mistake that many make once: the biases are regularised as if they were weights.
"""

import numpy as np

from gradproof import Layer, Network, Verdict, check
from gradproof.course import check_gradients, course_problem
from gradproof.initializers import symmetric_units, zeros

LAM = 1.0
network = Network((3, 5, 3))
x, y, _ = course_problem().args


def train(params, steps=100, rate=2.0):
    """Plain gradient descent."""
    for _ in range(steps):
        slopes = network.gradient(params, x, y)
        params = tuple(
            Layer(p.weight - rate * g.weight, p.bias - rate * g.bias)
            for p, g in zip(params, slopes, strict=True)
        )
    return params


def bias_regularised(params, x, y, lam):
    """Backprop plus lam/m times every parameter; the cost leaves the biases out."""
    decay = lam / len(x)
    return tuple(
        Layer(g.weight + decay * p.weight, g.bias + decay * p.bias)
        for g, p in zip(network.gradient(params, x, y), params, strict=True)
    )


print("The course's table")
table = check_gradients(lam=LAM)
print(table)
print(table.report)
assert table.report.verdict is Verdict.AGREES
assert table.relative_difference < 1e-9

print("\nZero initialisation")
identical, different = network.init(zeros), network.init(seed=0)
for name, start in (("zeros", identical), ("random", different)):
    spread = np.max(np.ptp(train(start)[0].weight, axis=0))
    print(f"  {name:6}  symmetric units at the start: {symmetric_units(start) or 'none'}")
    print(f"          spread of the hidden units' weights after 100 steps: {spread:.1g}")
assert [group.units for group in symmetric_units(identical)] == [(0, 1, 2, 3, 4)]
assert not symmetric_units(different)

print("\nThe biases are regularised too")
report = check(network.loss, different, args=(x, y, LAM), grad=bias_regularised)
print(report)
assert report.odd_one_out == "hand"
assert {(d.code, d.leaves) for d in report.diagnoses} == {("GP121", ("[0].bias", "[1].bias"))}
