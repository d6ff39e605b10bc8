"""The door: `check` collects what every source says of a gradient, compares, and attributes."""

__all__ = ["GradientMismatch", "assert_gradients", "check", "check_problem"]

from collections.abc import Mapping, Sequence
from typing import Any

from gradproof.engine import Workers, WorkersLostError
from gradproof.examination import Crew, Examination
from gradproof.options import Options, choose_sources
from gradproof.problems import Problem
from gradproof.progress import CHECK, Listener, Meter, meter_for
from gradproof.report import Report
from gradproof.sources import Claim, Function
from gradproof.verdict import Verdict


class GradientMismatch(AssertionError):
    """The claim was not shown to agree. `report` holds everything that was found."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report


def check(  # noqa: PLR0913 -- two arrays, then choices by keyword, each with a default
    fun: Function | Mapping[str, Function],
    params: Any,
    /,
    *,
    args: tuple[Any, ...] = (),
    grad: Function | None = None,
    value_and_grad: Function | None = None,
    vjp: Function | None = None,
    jvp: Function | None = None,
    sources: Sequence[str] | None = None,
    resolution: float | None = None,
    confidence: float = 0.999,
    seed: int = 0,
    diagnose: bool = True,
    workers: Any = None,
    progress: bool | Listener | Meter = False,
) -> Report:
    """Collect what several independent sources say the derivative of `fun` at `params` is, and compare.

    `fun(params, *args)` returns a real scalar or one real array; a mapping `{"numpy": f, "torch": g}` gives one
    implementation per framework. `params` is an array or a tree of arrays (dict, list, tuple, named tuple,
    dataclass), all floating and of one framework. `args` are constants; arrays among them are copied to each
    framework.

    The claim is one of `grad(params, *args)`, a tree like params; `value_and_grad(params, *args)`;
    `vjp(cotangent, params, *args)`; and, alone or beside it, `jvp(tangents, params, *args)`. Without a claim the
    framework that owns params is judged by its own derivative.

    `sources` names who is asked: "numeric", "hand", and any backend (default: all that are installed).
    `resolution` is the smallest relative error that had to be visible for an AGREES (default 1e-3,
    for parameters in float16 0.06, in bfloat16 0.5); what was
    achieved is in the report. `confidence` is that of the certificate. `seed` draws the probes. Where the gradient is
    refuted, the report says where and which mistake it is; not to `diagnose` saves these evaluations.

    `workers` evaluate `fun` where that takes long (over 2 s in all): a number of processes (-1: one per core), a map-like
    callable, an object with `submit`, a dask Client, or "dask://host:port". `progress` draws a bar on standard error once 2 s
    have passed, or is called with a Progress.

    Raises ValueError or TypeError for input that cannot be checked, and whatever `fun` or the claim raise at the
    point itself; WorkersLostError if the workers went away, with the findings so far as `known`. Nothing of the caller's
    is changed.
    """
    claim = Claim(grad, value_and_grad, vjp, jvp)
    options = Options(
        sources=choose_sources(sources, claim),
        resolution=resolution,
        confidence=confidence,
        seed=seed,
        diagnose=diagnose,
    )
    with Workers(workers) as crew, meter_for(progress, "check", CHECK) as meter:
        examination = Examination(fun, params, args, claim, options, Crew(crew, meter))
        try:
            return examination.report()
        except WorkersLostError as error:
            error.known = tuple(examination.findings)
            raise


def check_problem(problem: Problem, **options: Any) -> Report:
    """`check` of a Problem; takes the other keywords of `check`."""
    keywords: dict[str, Any] = {**problem.claims(), **options}
    return check(problem.fun, problem.params, args=problem.args, **keywords)


def assert_gradients(fun: Function | Mapping[str, Function], params: Any, /, **options: Any) -> Report:
    """`check`, for tests: the Report if the verdict is AGREES.

    Takes what `check` takes. Raises GradientMismatch, an AssertionError that prints the report, for any other verdict.
    """
    __tracebackhide__ = True
    report = check(fun, params, **options)
    if report.verdict is not Verdict.AGREES:
        raise GradientMismatch(report)
    return report
