"""Ridge regression checked at λ = 0: the right gradient passes, and so does one whose penalty was forgotten.

`prove` asks what a check is worth. It plants dozens of mistakes in a right gradient, runs the same check on each, and
says what this point cannot show. With λ = 0 that is the penalty: a blind spot of the point, not of the code. At
λ = 0.3 it is gone, and the forgotten penalty is named.
"""

import numpy as np

from gradproof import Verdict, check, prove

rng = np.random.default_rng(0)
x, y, w = rng.normal(size=(30, 4)), rng.normal(size=30), rng.normal(size=4)


def ridge(w, x, y, lam):
    return np.mean((x @ w - y) ** 2) + lam * np.sum(w**2)


def gradient(w, x, y, lam):
    return 2 * x.T @ (x @ w - y) / len(x) + 2 * lam * w


def penalty_forgotten(w, x, y, lam):
    return 2 * x.T @ (x @ w - y) / len(x)


def prove_and_check(lam):
    """What a check at this λ is worth, and what it says of the wrong gradient."""
    print(f"\nλ = {lam:g}: the right gradient, and mistakes planted in it")
    proof = prove(ridge, w, args=(x, y, lam), grad=gradient)
    print(proof)
    print(f"\nλ = {lam:g}: the gradient without its penalty")
    report = check(ridge, w, args=(x, y, lam), grad=penalty_forgotten, sources=["numeric", "hand"])
    print(report)
    return proof, report


proof, report = prove_and_check(0.0)
assert proof.kill_rate == 1.0
assert [spot.where for spot in proof.blind_spots] == ["args[2] (lam)"]
assert report.verdict is Verdict.AGREES  # wrong, and not to be seen here

proof, report = prove_and_check(0.3)
assert proof.kill_rate == 1.0
assert not proof.blind_spots
assert report.verdict is Verdict.DISAGREES
assert report.diagnoses[0].code == "GP121"
