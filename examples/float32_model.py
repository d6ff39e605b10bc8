"""A model in float32: what a proof can mean with seven digits, and a detour through float16 that hides in them.

A central difference with one fixed step drowns in the rounding of the function. `check` measures that rounding, asks the
function in float64 where it can, and says how far it saw: AGREES means right to the digits that float32 has. That is
enough to refuse a gradient of which one leaf was sent to another machine in half precision. Asked once more with
parameters in float64, the same code shows what it does.
"""

import numpy as np

from gradproof import Verdict, check

rng = np.random.default_rng(0)
x, y = rng.normal(size=(50, 8)), rng.normal(size=50)
params = {"inner": 0.5 * rng.normal(size=(8, 12)), "outer": rng.normal(size=12)}


def loss(params, x, y):
    """Mean squared error of a hidden layer of tanh units."""
    return np.mean((np.tanh(x @ params["inner"]) @ params["outer"] - y) ** 2)


def gradient(params, x, y):
    hidden = np.tanh(x @ params["inner"])
    slope = (hidden @ params["outer"] - y) * (2 / len(y))
    inward = np.outer(slope, params["outer"]) * (1 - hidden**2)
    return {"inner": x.T @ inward, "outer": hidden.T @ slope}


def half_sent(params, x, y):
    """The gradient, its large leaf sent in half precision."""
    slopes = gradient(params, x, y)
    return {**slopes, "inner": slopes["inner"].astype(np.float16).astype(x.dtype)}


def cast(dtype):
    return {name: p.astype(dtype) for name, p in params.items()}, (x.astype(dtype), y.astype(dtype))


def fixed_step(params, args, step=1e-4):
    """The gradient of `loss` in params["outer"] by central differences, entry by entry."""
    steps = np.float32(step) * np.eye(12, dtype=np.float32)
    up, down = ([loss({**params, "outer": params["outer"] + s * e}, *args) for e in steps] for s in (1, -1))
    return (np.array(up) - np.array(down)) / np.float32(2 * step)


def check_in(dtype, claim):
    params, args = cast(dtype)
    report = check(loss, params, args=args, grad=claim, sources=["numeric", "hand"])
    print(f"\n{claim.__name__}, {dtype}\n{report}")
    return report


weights, data = cast("float32")
off = np.max(np.abs(fixed_step(weights, data) / gradient(weights, *data)["outer"] - 1))
print(f"central differences in float32, step 1e-4: an entry of the right gradient seems off by {off:.1%}")

right = check_in("float32", gradient)
assert right.verdict is Verdict.AGREES
print(f"seen: relative errors down to {max(finding.resolution for finding in right.findings):.0e}")

wrong = check_in("float32", half_sent)
assert wrong.verdict is Verdict.DISAGREES
assert [location.leaf for location in wrong.locations] == ["inner"]

named = check_in("float64", half_sent)
assert [(d.code, d.leaves) for d in named.diagnoses] == [("GP111", ("inner",))]
