"""The walk of one check: contracts, sources, comparison, attribution."""

__all__ = ["Examination"]

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.backend import load
from gradproof.judging import Judgement, Referee, compare_arrays, judge_source, odd_one_out, worst_of
from gradproof.numeric.probe import Probe, sign_probe
from gradproof.numeric.sampling import Sampler, sampler_for
from gradproof.options import Options
from gradproof.point import take_point
from gradproof.report import Gradients, Report, SourceResult
from gradproof.sources import Claim, Function, Hearing, admit_function, implementation, testify_tangent
from gradproof.sources.contracts import ContractBroken, changed, changed_args, fingerprint
from gradproof.sources.exact import Source, with_note
from gradproof.verdict import Estimate, Finding, Reason, Verdict


class Examination:
    """One check, step by step. `report()` walks them all."""

    def __init__(
        self, fun: Function | Mapping[str, Function], params: Any, args: Any, claim: Claim, options: Options
    ) -> None:
        admit_function(fun)
        self.fun = fun
        self.claim = claim
        self.options = options
        self.point = take_point(params, args)
        # Probes do not depend on which sources are asked, nor on how often.
        self.rng, self.rounding_rng = np.random.default_rng(options.seed).spawn(2)
        self.findings: list[Finding] = []

    def report(self) -> Report:
        """Everything there is to say."""
        self._admit_output()
        self.findings += self._function_contracts()
        if np.isfinite(self.sampler.value).all() and not self._constants_changed():
            self.hearing.hear(self.options.sources)
            self.findings += self.hearing.findings
            self._compare_values()
            self._compare_pairs()
            self._compare_with_numeric()
            self._settle_disputes()
            self._compare_tangents()
        return self._written()

    @cached_property
    def judged(self) -> str | None:
        """Name of the source that states the claim; None if every source is judged."""
        if self.claim:
            return "hand"
        return self.point.home.name if self.point.home.name in self.options.sources else None

    @cached_property
    def sampler(self) -> Sampler:
        """The function whose values are the truth: the one for the caller's framework, or else the first given."""
        name = self.point.home.name
        if isinstance(self.fun, Mapping) and name not in self.fun:
            name = "numpy" if "numpy" in self.fun else next(iter(self.fun))
        backend = self.point.home if name == self.point.home.name else load(name)
        function: Any = implementation(self.fun, name)
        sampler: Sampler = with_note(
            f"fun at params (in {name})", lambda: sampler_for(function, self.point, backend)
        )
        return sampler

    @cached_property
    def cotangent(self) -> HostArray:
        """1 for a scalar; for an array random numbers of both signs, none of them 0 and not all alike."""
        shape = self.sampler.output_shape
        if shape == ():
            return np.asarray(1.0)
        signs = 2.0 * self.rng.integers(0, 2, shape) - 1.0
        return np.asarray(signs * (1.25 + self.rng.integers(0, 4, shape) / 4))

    @cached_property
    def hearing(self) -> Hearing:
        """The exact sources."""
        return Hearing(
            self.fun, self.point, self.claim,
            judged=self.judged, cotangent=self.cotangent, resolution=self.options.resolution, rng=self.rounding_rng,
        )  # fmt: skip

    @cached_property
    def referee(self) -> Referee:
        """The numeric source."""
        cotangent = None if self.sampler.output_shape == () else self.cotangent
        return Referee(self.sampler, cotangent, self.rng, self.options.resolution)

    # The function

    def _admit_output(self) -> None:
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

    def _constants_changed(self) -> bool:
        """Whether fun changed its constants: every call after the first is of another function then."""
        return any(f.reason is Reason.MUTATES and f.leaf is None for f in self.findings)

    def _function_contracts(self) -> list[Finding]:
        sampler, placement = self.sampler, self.sampler.placement
        with placement.context():
            arrays = placement.arrays(self.point.leaves)
            before = [fingerprint(array) for array in arrays]
            with_note(
                f"fun at params (in {placement.backend.name})", lambda: placement.bind(sampler.fun)(*arrays)
            )
            found = changed("fun", self.point, arrays, before) + changed_args("fun", placement)
        if any(finding.leaf is None for finding in found):
            return found
        if not np.isfinite(sampler.value).all():
            detail = f"fun returned {sampler.value} at params"
            found.append(Finding("contract", ("fun",), None, Verdict.UNDECIDED, Reason.DOMAIN, detail))
        elif sampler.spread > 0:
            detail = f"calls at params differ by {sampler.spread:.3g}"
            found.append(
                Finding("contract", ("fun",), None, Verdict.UNDECIDED, Reason.NON_DETERMINISTIC, detail)
            )
        return found

    # The comparison

    def _compare_values(self) -> None:
        """Sources that compute another function are said to do so, and compared no further."""
        base = Estimate(self.sampler.value, np.full(self.sampler.output_shape, self.sampler.spread))
        testimonies = self.hearing.testimonies
        for name in [name for name, testimony in testimonies.items() if testimony.value is not None]:
            finding = self._compare(("value", (name, "fun"), None), testimonies[name].value, base)
            differs = finding.verdict is Verdict.DISAGREES
            self.findings.append(
                replace(finding, reason=Reason.DIFFERENT_FUNCTION, detail=_value_detail(finding))
                if differs
                else replace(finding, verdict=Verdict.AGREES, reason=None)
            )
            if differs:
                del testimonies[name]

    def _compare_pairs(self) -> None:
        for pair in combinations(self.hearing.testimonies, 2):
            first, second = (self.hearing.testimonies[name].gradient for name in pair)
            self.findings += [
                self._compare(("gradient", pair, path), a, b)
                for path, a, b in zip(self.point.paths, first, second, strict=True)
            ]

    def _compare_with_numeric(self) -> None:
        if "numeric" in self.options.sources:
            for name, testimony in self.hearing.testimonies.items():
                self.findings += self.referee.judge(name, testimony.gradient)

    def _settle_disputes(self) -> None:
        """Where two exact sources differ and probes saw nothing, numeric looks at the worst entry itself."""
        if "numeric" not in self.options.sources:
            return
        refuted = {(f.sources[0], f.leaf) for f in self.findings if f.what == "slope" and _disagrees(f)}
        for position, finding in enumerate(list(self.findings)):
            open_dispute = finding.what == "gradient" and _disagrees(finding)
            if open_dispute and not any((name, finding.leaf) in refuted for name in finding.sources):
                self._settle(position, finding)

    def _settle(self, position: int, dispute: Finding) -> None:
        leaf, entry = self.point.paths.index(str(dispute.leaf)), dispute.worst or ()
        closer = [
            self.referee.judge_entry(name, self.hearing.testimonies[name].gradient, leaf, entry)
            for name in dispute.sources
        ]
        if any(_disagrees(finding) for finding in closer):
            self.findings += closer
        else:
            self.findings[position] = replace(dispute, verdict=Verdict.UNDECIDED, reason=Reason.DISPUTED)

    def _compare_tangents(self) -> None:
        if self.claim.jvp is None:
            return
        probe = sign_probe(self.point, self.rng, self.point.unit_roundoff)
        stated: dict[str, Estimate] = {}
        for name, source in self.hearing.asked.items():
            if name == "hand" or name in self.hearing.testimonies:
                self._push(name, source, probe, stated)
        if "numeric" in self.options.sources:
            stated["numeric"] = self.referee.tangent(probe)
        self.findings += [
            self._compare(("tangent", pair, None), stated[pair[0]], stated[pair[1]])
            for pair in combinations(stated, 2)
        ]

    def _push(self, name: str, source: Source, probe: Probe, stated: dict[str, Estimate]) -> None:
        """What `source` makes of the tangent; a framework without a forward mode for it is left out of this."""
        try:
            stated[name] = testify_tangent(source, probe, self.rounding_rng, self.options.resolution)
        except ContractBroken as error:
            self.findings += error.findings
        except Exception as error:
            if name == "hand":
                error.add_note("gradproof: raised by the claimed jvp at params (source hand)")
                raise

    def _compare(
        self, about: tuple[str, tuple[str, str], str | None], first: Estimate | None, second: Estimate
    ) -> Finding:
        what, names, leaf = about
        if first is None or first.shape != second.shape:
            detail = f"{names[0]} gave shape {first and first.shape}, {names[1]} {second.shape}"
            return Finding(what, names, leaf, Verdict.DISAGREES, Reason.SHAPE, detail)
        return compare_arrays(what, names, leaf, first, second, self.options.resolution)

    # The report

    def _written(self) -> Report:
        testimonies = self.hearing.testimonies
        judgements = {name: self._judgement(name) for name in self.options.sources}
        overall = self._overall(judgements)
        numeric = "numeric" in judgements and bool(testimonies)
        claimed = testimonies.get(self.judged or "")
        return Report(
            verdict=overall.verdict,
            reason=overall.reason,
            detail=overall.detail,
            claim=self.judged,
            sources={name: self._result(name, judgement) for name, judgement in judgements.items()},
            odd_one_out=odd_one_out({name: judgement.verdict for name, judgement in judgements.items()}),
            findings=tuple(self.findings),
            gradients=Gradients(
                {name: self._tree(testimony.gradient) for name, testimony in testimonies.items()}
            ),
            certificate=self.referee.certificate(claimed.gradient, self.options.confidence)
            if numeric and claimed
            else None,
            leaves={
                path: (shape, dtype)
                for path, shape, dtype in zip(
                    self.point.paths, self.point.shapes, self.point.dtypes, strict=True
                )
            },
            resolution=self.options.resolution,
            seed=self.options.seed,
            probes=self.referee.probed if numeric else (),
        )

    def _overall(self, judgements: Mapping[str, Judgement]) -> Judgement:
        """The claim's verdict, or that of all that differentiate; a function that breaks a contract speaks first."""
        fun = [
            Judgement(f.verdict, f.reason, f.detail)
            for f in self.findings
            if f.sources == ("fun",) and f.reason is not Reason.NON_DETERMINISTIC
        ]
        judged = (
            [self.judged]
            if self.judged
            else [name for name in judgements if name in self.hearing.testimonies]
        )
        return worst_of([*fun, *(judgements[name] for name in judged)])

    def _judgement(self, name: str) -> Judgement:
        if name in self.hearing.unsupported:
            return Judgement(Verdict.UNSUPPORTED, *self.hearing.unsupported[name])
        judgement = judge_source(name, self.findings)
        if name != "numeric":
            return judgement
        could_judge = any(
            "numeric" in f.sources and f.verdict is not Verdict.UNDECIDED for f in self.findings
        )
        return Judgement(Verdict.AGREES) if could_judge else judgement

    def _result(self, name: str, judgement: Judgement) -> SourceResult:
        source: Any = self.sampler if name == "numeric" else self.hearing.asked.get(name)
        if source is None:
            return SourceResult(name, *judgement)
        dtype = "float64" if source.placement.double else self.point.dtypes[0]
        return SourceResult(name, *judgement, dtype=dtype, calls=source.calls, seconds=source.seconds)

    def _tree(self, gradient: list[Estimate]) -> Any:
        return self.point.structure.unflatten([leaf.value for leaf in gradient])


def _disagrees(finding: Finding) -> bool:
    return finding.verdict is Verdict.DISAGREES


def _value_detail(finding: Finding) -> str:
    if not finding.values:
        return finding.detail
    name, value = next(iter(finding.values.items()))
    return f"{name} computes {value:.17g}, fun {finding.values['fun']:.17g}"
