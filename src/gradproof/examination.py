"""The walk of one check: contracts, sources, comparison, attribution."""

__all__ = ["DEFAULT_RESOLUTION", "Examination"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from math import isfinite
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.attribute import Judgement, judge_source, odd_one_out, worst_of
from gradproof.backend import Backend, installed, load, names, unknown
from gradproof.compare import compare_arrays
from gradproof.contracts import ContractBroken, changed
from gradproof.numeric.line import sign_probe
from gradproof.numeric.sampling import Sampler, sampler_for
from gradproof.point import Placement, take_point
from gradproof.referee import Referee
from gradproof.report import Report, SourceResult
from gradproof.report.record import Gradients
from gradproof.sources import Autodiff, Claim, Function, Hand, Source, admit_function, implementation
from gradproof.testimony import Testimony, testify, testify_tangent
from gradproof.verdict import Estimate, Finding, Reason, Verdict

DEFAULT_RESOLUTION = 1e-3
"""Smallest relative error that has to be visible for an AGREES. Mistakes in formulas are far larger, and float32
code reaches it; what was achieved, mostly 1e-10 or better, stands in every report."""


class Examination:
    """One check, step by step. `report()` walks them all."""

    def __init__(  # noqa: PLR0913 -- the record of one call of `check`
        self,
        fun: Function | Mapping[str, Function],
        params: Any,
        args: Any,
        claim: Claim,
        sources: Sequence[str] | None,
        resolution: float,
        confidence: float,
        seed: int,
    ) -> None:
        admit_function(fun)
        _admit_between("resolution", resolution, 0.0, 1.0)
        _admit_between("confidence", confidence, 0.0, 1.0)
        self.fun = fun
        self.claim = claim
        self.resolution = resolution
        self.confidence = confidence
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.point = take_point(params, args)
        self.names = _chosen(sources, claim)
        self.findings: list[Finding] = []
        self.unsupported: dict[str, Judgement] = {}
        self.asked: dict[str, Source] = {}
        self.testimonies: dict[str, Testimony] = {}

    def report(self) -> Report:
        """Everything there is to say."""
        if self._function_is_sound():
            self._hear()
            self._compare_values()
            self._compare_pairs()
            self._compare_with_numeric()
            self._settle_disputes()
            self._compare_tangents()
        return self._written()

    # The function

    @cached_property
    def judged(self) -> str | None:
        """Name of the source that states the claim."""
        if self.claim:
            return "hand"
        return self.point.home.name if self.point.home.name in self.names else None

    @cached_property
    def sampler(self) -> Sampler:
        """The function whose values are the truth: the caller's framework's, or the first that was given."""
        name = self.point.home.name
        if isinstance(self.fun, Mapping) and name not in self.fun:
            name = "numpy" if "numpy" in self.fun else next(iter(self.fun))
        backend = self.point.home if name == self.point.home.name else load(name)
        function = implementation(self.fun, name)
        return _with_note(f"fun at params (in {name})", lambda: sampler_for(function, self.point, backend))  # type: ignore[arg-type]

    @cached_property
    def cotangent(self) -> HostArray:
        """1 for a scalar; for an array random numbers of both signs, none of them 1 or 0."""
        shape = self.sampler.output_shape
        if shape == ():
            return np.asarray(1.0)
        signs = 2.0 * self.rng.integers(0, 2, shape) - 1.0
        return np.asarray(signs * (1.25 + self.rng.integers(0, 4, shape) / 4))

    @cached_property
    def referee(self) -> Referee:
        """The numeric source."""
        cotangent = None if self.sampler.output_shape == () else self.cotangent
        return Referee(self.sampler, cotangent, self.rng, self.resolution)

    def _function_is_sound(self) -> bool:
        shape = self.sampler.output_shape
        if shape != () and (self.claim.grad or self.claim.value_and_grad):
            raise ValueError(
                f"fun returned shape {shape}, and grad states the gradient of a scalar: reduce it inside fun, or state "
                "vjp(cotangent, params, *args) or jvp(tangents, params, *args) instead"
            )
        if 0 in shape:
            raise ValueError(
                f"fun returned shape {shape}, which has no entries: there is nothing to differentiate"
            )
        self.findings += self._function_contracts()
        return bool(np.isfinite(self.sampler.value).all())

    def _function_contracts(self) -> list[Finding]:
        sampler, placement = self.sampler, self.sampler.placement
        with placement.context():
            arrays = placement.arrays(self.point.leaves)
            before = [placement.backend.to_numpy(array) for array in arrays]
            placement.bind(sampler.fun)(*arrays)
            found = changed("fun", self.point, arrays, before)
        if not np.isfinite(sampler.value).all():
            detail = f"fun returned {sampler.value} at params"
            found.append(Finding("contract", ("fun",), None, Verdict.UNDECIDED, Reason.DOMAIN, detail))
        elif sampler.spread > 0:
            detail = f"two calls at params differ by {sampler.spread:.3g}"
            found.append(
                Finding("contract", ("fun",), None, Verdict.UNDECIDED, Reason.NON_DETERMINISTIC, detail)
            )
        return found

    # The sources

    def _hear(self) -> None:
        for name in self.names:
            if name == "hand":
                self._hear_hand()
            elif name != "numeric":
                self._hear_framework(name)

    def _hear_hand(self) -> None:
        fun = implementation(self.fun, self.point.home.name)
        source = Hand(self.claim, fun, Placement(self.point, self.point.home, double=False))
        self.asked["hand"] = source
        if self.claim.reverse:
            _with_note("the claim at params (source hand)", lambda: self._take_testimony(source))

    def _hear_framework(self, name: str) -> None:
        """An own derivative that is the claim is asked in the caller's precision, any other in float64."""
        try:
            backend = load(name)
        except Exception as error:
            reason = Reason.CANNOT_RUN if installed(name) else Reason.NOT_INSTALLED
            self.unsupported[name] = Judgement(Verdict.UNSUPPORTED, reason, _summary(error))
            return
        fun = implementation(self.fun, name)
        if not backend.differentiates:
            self.unsupported[name] = Judgement(Verdict.UNSUPPORTED, Reason.NO_DERIVATIVE)
        elif fun is None:
            self.unsupported[name] = Judgement(
                Verdict.UNSUPPORTED, Reason.CANNOT_RUN, f"fun has no entry {name!r}"
            )
        elif name == self.judged:
            source = Autodiff(name, fun, Placement(self.point, backend, double=False))
            _with_note(
                f"fun or its derivative at params (source {name})", lambda: self._take_testimony(source)
            )
        else:
            self._try_framework(name, fun, backend)

    def _try_framework(self, name: str, fun: Function, backend: Backend) -> None:
        """float64 first; the one door where a foreign framework may fail: the reason is kept and shown."""
        for double in (True, False):
            try:
                self._take_testimony(Autodiff(name, fun, Placement(self.point, backend, double=double)))
            except Exception as error:
                self.unsupported[name] = Judgement(Verdict.UNSUPPORTED, Reason.CANNOT_RUN, _summary(error))
            else:
                self.unsupported.pop(name, None)
                return

    def _take_testimony(self, source: Source) -> None:
        twice = source.name == self.judged
        try:
            testimony = testify(source, self.cotangent, self.rng, self.resolution, twice=twice)
        except ContractBroken as error:
            self.findings += error.findings
        else:
            self.testimonies[source.name] = testimony
        self.asked[source.name] = source

    # The comparison

    def _compare_values(self) -> None:
        """Sources that compute another function are said to do so, and compared no further."""
        base = Estimate(self.sampler.value, np.full(self.sampler.output_shape, self.sampler.spread))
        for name, testimony in list(self.testimonies.items()):
            if testimony.value is None:
                continue
            if testimony.value.shape != base.shape:
                detail = f"{name} returned shape {testimony.value.shape}; due: {base.shape}"
                finding = Finding("value", (name, "fun"), None, Verdict.DISAGREES, Reason.SHAPE, detail)
            else:
                finding = compare_arrays("value", (name, "fun"), None, testimony.value, base, self.resolution)
            if finding.verdict is Verdict.DISAGREES:
                self.findings.append(replace(finding, reason=finding.reason and Reason.DIFFERENT_FUNCTION))
                del self.testimonies[name]
            else:
                self.findings.append(replace(finding, verdict=Verdict.AGREES, reason=None))

    def _compare_pairs(self) -> None:
        for first, second in combinations(self.testimonies, 2):
            a, b = self.testimonies[first].gradient, self.testimonies[second].gradient
            self.findings += [
                compare_arrays("gradient", (first, second), path, a[i], b[i], self.resolution)
                for i, path in enumerate(self.point.paths)
            ]

    def _compare_with_numeric(self) -> None:
        if "numeric" in self.names:
            for name, testimony in self.testimonies.items():
                self.findings += self.referee.judge(name, testimony.gradient)

    def _settle_disputes(self) -> None:
        """Where two exact sources differ and probes saw nothing, numeric looks at the worst entry itself."""
        if "numeric" not in self.names:
            return
        refuted = {(f.sources[0], f.leaf) for f in self.findings if f.what == "slope" and _disagrees(f)}
        for position, finding in enumerate(list(self.findings)):
            if finding.what != "gradient" or not _disagrees(finding) or finding.worst is None:
                continue
            if any((name, finding.leaf) in refuted for name in finding.sources):
                continue
            leaf = self.point.paths.index(str(finding.leaf))
            closer = [
                self.referee.judge_entry(name, self.testimonies[name].gradient, leaf, finding.worst)
                for name in finding.sources
            ]
            if any(_disagrees(entry) for entry in closer):
                self.findings += closer
            else:
                undecided = replace(finding, verdict=Verdict.UNDECIDED, reason=Reason.DISPUTED)
                self.findings[position] = undecided

    def _compare_tangents(self) -> None:
        if self.claim.jvp is None:
            return
        leaves, unit_roundoff = self.point.leaves, self.point.unit_roundoff
        probe = sign_probe(leaves, self.rng, unit_roundoff)
        stated = {"hand": testify_tangent(self.asked["hand"], probe, self.rng)}
        for name, source in self.asked.items():
            if name in self.testimonies and name != "hand":
                stated[name] = testify_tangent(source, probe, self.rng)
        if "numeric" in self.names:
            stated["numeric"] = self.referee.tangent(probe)
        for first, second in combinations(stated, 2):
            self.findings.append(self._compare_tangent((first, second), stated[first], stated[second]))

    def _compare_tangent(self, pair: tuple[str, str], first: Estimate, second: Estimate) -> Finding:
        if first.shape == second.shape:
            return compare_arrays("tangent", pair, None, first, second, self.resolution)
        detail = f"{pair[0]} pushed the tangent to shape {first.shape}, {pair[1]} to {second.shape}"
        return Finding("tangent", pair, None, Verdict.DISAGREES, Reason.SHAPE, detail)

    # The report

    def _written(self) -> Report:
        judgements = {name: self._judgement(name) for name in self.names}
        judged = [judgements[self.judged]] if self.judged else [
            judgement for name, judgement in judgements.items() if name in self.testimonies
        ]  # fmt: skip
        of_fun = [Judgement(f.verdict, f.reason, f.detail) for f in self.findings
                  if f.sources == ("fun",) and (_disagrees(f) or f.reason is Reason.DOMAIN)]  # fmt: skip
        overall = worst_of([*of_fun, *judged])
        gradient = self.testimonies[self.judged].gradient if self.judged in self.testimonies else None
        certifiable = gradient and "numeric" in self.names
        return Report(
            verdict=overall.verdict,
            reason=overall.reason,
            detail=overall.detail,
            claim=self.judged,
            sources={name: self._result(name, judgement) for name, judgement in judgements.items()},
            odd_one_out=odd_one_out({name: judgement.verdict for name, judgement in judgements.items()}),
            findings=tuple(self.findings),
            gradients=Gradients({
                name: self.point.structure.unflatten([leaf.value for leaf in testimony.gradient])
                for name, testimony in self.testimonies.items()
            }),
            certificate=self.referee.certificate(gradient, self.confidence) if certifiable and gradient else None,
            leaves=dict(zip(self.point.paths, zip(self.point.shapes, self.point.dtypes, strict=True), strict=True)),
            resolution=self.resolution,
            seed=self.seed,
            probes=self.referee.probed if certifiable else (),
        )  # fmt: skip

    def _judgement(self, name: str) -> Judgement:
        if name in self.unsupported:
            return self.unsupported[name]
        if name == "numeric":
            slopes = [f for f in self.findings if "numeric" in f.sources]
            decided = any(f.verdict in (Verdict.AGREES, Verdict.DISAGREES) for f in slopes)
            return Judgement(Verdict.AGREES) if decided else worst_of([judge_source(name, self.findings)])
        return judge_source(name, self.findings)

    def _result(self, name: str, judgement: Judgement) -> SourceResult:
        if name == "numeric":
            dtype = "float64" if self.sampler.placement.double else self.point.dtypes[0]
            return SourceResult(
                name, *judgement, dtype=dtype, calls=self.sampler.evaluations, seconds=self.sampler.seconds
            )
        source = self.asked.get(name)
        if source is None:
            return SourceResult(name, *judgement)
        dtype = "float64" if source.placement.double else self.point.dtypes[0]
        return SourceResult(name, *judgement, dtype=dtype, calls=source.calls, seconds=source.seconds)


def _chosen(sources: Sequence[str] | None, claim: Claim) -> tuple[str, ...]:
    """Names of the sources to ask, numeric first. Raises ValueError for an unknown, missing or surplus one."""
    if sources is None:
        frameworks = [name for name in names() if installed(name) and load_differentiates(name)]
        return ("numeric", *(["hand"] if claim else []), *frameworks)
    chosen = [sources] if isinstance(sources, str) else list(dict.fromkeys(sources))
    if not chosen:
        raise ValueError("sources is empty: nothing would be checked")
    known = ["numeric", "hand", *names()]
    for name in chosen:
        if name not in known:
            raise ValueError(unknown("source", name, known))
    if claim and "hand" not in chosen:
        raise ValueError("a claim was given, but sources leaves 'hand' out: it would not be judged")
    if not claim and "hand" in chosen:
        raise ValueError(
            "sources names 'hand', but no claim was given: pass grad=, value_and_grad=, vjp= or jvp="
        )
    return tuple(chosen)


def load_differentiates(name: str) -> bool:
    """Whether backend `name` belongs among the default sources; one that cannot be loaded does, to say so."""
    try:
        return load(name).differentiates
    except Exception:
        return True


def _with_note(what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        error.add_note(f"gradproof: raised by {what}")
        raise


def _summary(error: Exception) -> str:
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}".rstrip(": ")


def _admit_between(name: str, value: float, low: float, high: float) -> None:
    if not (isinstance(value, int | float) and isfinite(value) and low < value < high):
        raise ValueError(f"{name} lies between {low:g} and {high:g}; got {value!r}")


def _disagrees(finding: Finding) -> bool:
    return finding.verdict is Verdict.DISAGREES
