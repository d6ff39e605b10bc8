"""Softmax regression with `scipy.optimize.minimize(…, jac=True)`, checked before it is optimised.

SciPy wants all parameters in one vector, so the matrix (features, classes) is unrolled by hand: where the loss reads it,
and where the gradient is returned. The mistake is to unroll the gradient column by column. All of its numbers are
right; they stand in other places, and the optimiser gives up after one iteration without saying why.
"""

import numpy as np
from scipy.optimize import minimize

from gradproof import Verdict, check

FEATURES, CLASSES = 6, 4


def scores_and_norm(weights, x):
    scores = x @ weights
    return scores, np.logaddexp.reduce(scores, axis=1, keepdims=True)


def loss(theta, x, y, lam):
    """Mean cross-entropy with an L2 penalty; theta is the matrix (features, classes), row by row."""
    scores, norm = scores_and_norm(theta.reshape(FEATURES, CLASSES), x)
    return np.mean(norm[:, 0] - np.sum(scores * y, axis=1)) + lam / 2 * np.sum(theta**2)


def slope(theta, x, y, lam):
    """Gradient (features, classes) of the loss."""
    weights = theta.reshape(FEATURES, CLASSES)
    scores, norm = scores_and_norm(weights, x)
    return x.T @ (np.exp(scores - norm) - y) / len(x) + lam * weights


def by_rows(*given):
    return loss(*given), slope(*given).ravel()


def by_columns(*given):
    return loss(*given), slope(*given).ravel(order="F")


rng = np.random.default_rng(0)
x = rng.normal(size=(150, FEATURES))
drawn = x @ rng.normal(size=(FEATURES, CLASSES)) + rng.gumbel(size=(150, CLASSES))
y = np.eye(CLASSES)[np.argmax(drawn, axis=1)]
start, data = 0.1 * rng.normal(size=FEATURES * CLASSES), (x, y, 0.01)


def check_and_minimise(claim):
    """The report, and what SciPy makes of the same function."""
    report = check(loss, start, args=data, value_and_grad=claim, sources=["numeric", "hand"])
    found = minimize(claim, start, args=data, jac=True, method="L-BFGS-B")
    print(f"\n{claim.__name__}\n{report}")
    print(
        f"L-BFGS after {found.nit} iterations, {found.nfev} evaluations: loss {found.fun:.3f}, {found.message}"
    )
    return report, found


report, found = check_and_minimise(by_rows)
assert report.verdict is Verdict.AGREES
assert found.success

report, found = check_and_minimise(by_columns)
assert report.verdict is Verdict.DISAGREES
assert report.diagnoses[0].code == "GP103"
assert not found.success
