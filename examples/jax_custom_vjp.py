"""Kepler's equation solved by Newton's method, and differentiated by the implicit function theorem.

Where is a planet on its ellipse? Its eccentric anomaly E solves E − e·sin E = M. Differentiating through the iterations
costs the memory of all of them. `jax.custom_vjp` does without, for at the solution dE/dM = 1/(1 − e·cos E) and
dE/de = sin E/(1 − e·cos E). JAX takes that on trust; here the theorem's minus is lost in the second one.
"""

import jax
import jax.numpy as jnp

from gradproof import Verdict, check

jax.config.update("jax_enable_x64", True)


def newton(mean_anomaly, eccentricity):
    """E (n,) with E − e·sin E = M."""
    anomaly = mean_anomaly + eccentricity * jnp.sin(mean_anomaly)
    for _ in range(8):
        surplus = anomaly - eccentricity * jnp.sin(anomaly) - mean_anomaly
        anomaly -= surplus / (1 - eccentricity * jnp.cos(anomaly))
    return anomaly


def forward(mean_anomaly, eccentricity):
    anomaly = newton(mean_anomaly, eccentricity)
    return anomaly, (anomaly, eccentricity)


def implicit(saved, cotangent):
    anomaly, eccentricity = saved
    slope = cotangent / (1 - eccentricity * jnp.cos(anomaly))
    return slope, slope * jnp.sin(anomaly)


def minus_lost(saved, cotangent):
    mean_anomaly, eccentricity = implicit(saved, cotangent)
    return mean_anomaly, -eccentricity


def check_orbits(backward):
    """Check the misfit of five observed planets in the elements of their orbits."""
    solve = jax.custom_vjp(newton)
    solve.defvjp(forward, backward)

    def misfit(orbits, observed):
        return jnp.sum((solve(orbits["mean_anomaly"], orbits["eccentricity"]) - observed) ** 2)

    orbits = {
        "mean_anomaly": jnp.array([0.4, 1.7, 2.9, 4.4, 5.8]),
        "eccentricity": jnp.array([0.02, 0.21, 0.06, 0.65, 0.48]),
    }
    observed = jnp.array([0.5, 1.8, 2.9, 3.9, 5.5])
    report = check(misfit, orbits, args=(observed,), sources=["numeric", "jax"])
    print(f"\n{backward.__name__}\n{report}")
    return report


right = check_orbits(implicit)
assert right.verdict is Verdict.AGREES

wrong = check_orbits(minus_lost)
assert wrong.verdict is Verdict.DISAGREES
assert [(d.code, d.leaves) for d in wrong.diagnoses] == [("GP102", ("eccentricity",))]
