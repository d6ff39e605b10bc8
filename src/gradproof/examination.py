"""The walk of one check: contracts, sources, comparison, attribution."""

__all__ = ["Crew", "Examination"]

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from gradproof.arrays import HostArray
from gradproof.backend import load
from gradproof.engine import Workers
from gradproof.inquiry import Inquest, Inquiry
from gradproof.judging import JUDGED_SHARE, Referee, compare_arrays, plain_cotangent
from gradproof.numeric.elsewhere import Remote
from gradproof.numeric.probe import Probe, sign_probe
from gradproof.numeric.sampling import Sampler, sampler_for
from gradproof.options import Options, default_resolution
from gradproof.point import UNIT_ROUNDOFF, take_point
from gradproof.progress import Meter
from gradproof.report import Report
from gradproof.sources import Claim, Function, Hearing, admit_function, implementation, once, testify_tangent
from gradproof.sources.contracts import ContractBroken, changed, changed_args, fingerprint
from gradproof.sources.exact import Source, with_note
from gradproof.sources.rounding import Movement
from gradproof.verdict import Estimate, Finding, Reason, Verdict
from gradproof.writing import Evidence

SLIGHT = 1e-5
"""Share of the value below which another one is more likely of another precision than of another formula."""


class Crew(NamedTuple):
    """Who evaluates the function, and who is told."""

    workers: Workers
    meter: Meter


class Examination:
    """One check, step by step. `report()` walks them all."""

    def __init__(
        self, fun: Function | Mapping[str, Function], params: Any, args: Any, claim: Claim, options: Options,
        crew: Crew,
    ) -> None:  # fmt: skip
        admit_function(fun)
        self.fun = fun
        self.claim = claim
        self.options = options
        self.crew = crew
        self.point = take_point(params, args)
        self.resolution = options.resolution or default_resolution(self.point.unit_roundoff)
        # Probes do not depend on which sources are asked, nor on how often.
        self.rng, self.rounding_rng = np.random.default_rng(options.seed).spawn(2)
        self.findings: list[Finding] = []
        self.inquest = Inquest()

    def report(self) -> Report:
        """Everything there is to say."""
        self._admit_output()
        self.findings += self._function_contracts()
        if np.isfinite(self.sampler.value).any() and not self._constants_changed():
            self.hearing.hear(self.options.sources)
            self.findings += self.hearing.findings
            self._compare_values()
            self._compare_pairs()
            self._compare_with_numeric()
            self._compare_where_outputs_kink()
            self._settle_disputes()
            self._compare_tangents()
            self.inquest = self._inquire() if self.options.diagnose else Inquest()
        evidence = Evidence(
            self.options,
            self.resolution,
            self.judged,
            self.findings,
            self.sampler,
            self.hearing,
            self.referee,
            self.inquest,
        )
        return evidence.report()

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
        sampler.counted = self.crew.meter.add
        if not self.crew.workers.serial:
            sampler.at_once = Remote(sampler, self.crew.workers, self.crew.meter.expected)
        return sampler

    @cached_property
    def cotangent(self) -> HostArray:
        """By which outputs are weighed: 1 for a scalar, 0 for one that is left out."""
        if "numeric" in self.options.sources:
            return self.referee.probes.cotangent
        return plain_cotangent(self.sampler.value, self.rng)

    @cached_property
    def hearing(self) -> Hearing:
        """The exact sources."""
        return Hearing(
            self.fun, self.point, self.claim,
            judged=self.judged, cotangent=self.cotangent, resolution=self.resolution, rng=self.rounding_rng,
        )  # fmt: skip

    @cached_property
    def referee(self) -> Referee:
        """The numeric source."""
        return Referee(self.sampler, self.rng, self.resolution)

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
        if not np.isfinite(sampler.value).any():
            detail = f"fun returned {sampler.value} at params"
            found.append(Finding("contract", ("fun",), None, Verdict.UNDECIDED, Reason.DOMAIN, detail))
        elif sampler.spread.any():
            detail = f"calls at params differ by {sampler.spread.max():.3g}"
            found.append(
                Finding("contract", ("fun",), None, Verdict.UNDECIDED, Reason.NON_DETERMINISTIC, detail)
            )
        return found

    # The comparison

    def _compare_values(self) -> None:
        """Sources that compute another function are said to do so, and compared no further."""
        judged = self.cotangent != 0
        base = self._own_value(judged)
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

    def _own_value(self, judged: HostArray) -> Estimate:
        """The function's own value, with the rounding of its last digits and what repeated calls differed by."""
        value = np.where(judged, self.sampler.value, 0.0)
        unit_roundoff = max(self.sampler.placement.unit_roundoff, UNIT_ROUNDOFF.get(self.sampler.dtype, 0.0))
        rounded = Movement(value).estimate(unit_roundoff, self.point.longest_axis)
        return Estimate(value, rounded.bar + np.where(judged, self.sampler.spread, 0.0))

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
            if (
                self.hearing.testimonies
                and self.referee.probes.outputs
                and self.referee.probes.outputs.masked
            ):
                self.findings.append(self.referee.probes.outputs.masked)

    def _compare_where_outputs_kink(self) -> None:
        """Outputs that kink, beside smooth ones: every source's claim for them has to be a subgradient."""
        outputs = self.referee.probes.outputs if "numeric" in self.options.sources else None
        if outputs is None:
            return
        for name in self.hearing.testimonies:
            for group in outputs.kinked:
                gradient = once(self.hearing.asked[name], group.cotangent)
                self.findings.append(self.referee.judge_kinked(name, gradient, group))

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
        elif all(finding.reason is Reason.SUBGRADIENT for finding in closer):
            self.findings[position] = replace(dispute, verdict=Verdict.AGREES, reason=Reason.SUBGRADIENT)
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
            stated["numeric"] = self.referee.probes.tangent(probe)
        self.findings += [self._compare_tangent(pair, stated) for pair in combinations(stated, 2)]

    def _compare_tangent(self, pair: tuple[str, str], stated: Mapping[str, Estimate]) -> Finding:
        """Outputs whose slope numeric does not know are left out, if they are not most of them."""
        first, second = (stated[name] for name in pair)
        unknown = np.isinf(stated["numeric"].bar) if "numeric" in pair else np.zeros(())
        share = float(np.mean(unknown))
        if first.shape != second.shape or not 0 < share <= 1 - JUDGED_SHARE:
            return self._compare(("tangent", pair, None), first, second)
        known = [
            Estimate(np.where(unknown, 0, e.value), np.where(unknown, 0, e.bar)) for e in (first, second)
        ]
        finding = self._compare(("tangent", pair, None), *known)
        detail = f"{int(unknown.sum())} of {unknown.size} outputs left out: no slope along the tangent"
        agrees = finding.verdict is Verdict.AGREES
        return replace(finding, detail=detail, reason=Reason.MASKED if agrees else finding.reason)

    def _push(self, name: str, source: Source, probe: Probe, stated: dict[str, Estimate]) -> None:
        """What `source` makes of the tangent; a framework without a forward mode for it is left out of this."""
        try:
            stated[name] = testify_tangent(source, probe, self.rounding_rng, self.resolution)
        except ContractBroken as error:
            self.findings += error.findings
        except Exception as error:
            if name == "hand":
                error.add_note("gradproof: raised by the claimed jvp at params (source hand)")
                raise

    def _inquire(self) -> Inquest:
        numeric = "numeric" in self.options.sources
        return Inquiry(
            self.hearing, self.referee if numeric else None, self.findings, self.sampler.fun
        ).inquest()

    def _compare(
        self, about: tuple[str, tuple[str, str], str | None], first: Estimate | None, second: Estimate
    ) -> Finding:
        what, names, leaf = about
        if first is None or first.shape != second.shape:
            detail = f"{names[0]} gave shape {first and first.shape}, {names[1]} {second.shape}"
            return Finding(what, names, leaf, Verdict.DISAGREES, Reason.SHAPE, detail)
        return compare_arrays(what, names, leaf, first, second, self.resolution)


def _disagrees(finding: Finding) -> bool:
    return finding.verdict is Verdict.DISAGREES


def _value_detail(finding: Finding) -> str:
    if not finding.values:
        return finding.detail
    name, value = next(iter(finding.values.items()))
    detail = f"{name} computes {value:.17g}, fun {finding.values['fun']:.17g}"
    slight = finding.scale > 0 and finding.gap < SLIGHT * finding.scale
    return f"{detail}: as by lower precision inside, or a rounded constant" if slight else detail
