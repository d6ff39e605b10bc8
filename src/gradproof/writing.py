"""From what one check found to its Report."""

__all__ = ["Evidence"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradproof.inquiry import Inquest
from gradproof.judging import Judgement, Referee, judge_source, odd_one_out, worst_of
from gradproof.numeric.sampling import Sampler
from gradproof.options import Options
from gradproof.report import Gradients, Report, SourceResult
from gradproof.sources import Hearing
from gradproof.sources.testimony import Testimony
from gradproof.verdict import Certificate, Estimate, Finding, Reason, Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a Report is written from."""

    options: Options
    resolution: float
    judged: str | None
    """Name of the source that states the claim; None if every source is judged."""
    findings: Sequence[Finding]
    sampler: Sampler
    hearing: Hearing
    referee: Referee
    inquest: Inquest

    def report(self) -> Report:
        """The Report."""
        point = self.sampler.point
        judgements = {name: self._judgement(name) for name in self.options.sources}
        overall = self._overall(judgements)
        return Report(
            verdict=overall.verdict,
            reason=overall.reason,
            detail=overall.detail,
            claim=self.judged,
            sources={name: self._result(name, judgement) for name, judgement in judgements.items()},
            odd_one_out=odd_one_out({name: judgement.verdict for name, judgement in judgements.items()}),
            findings=tuple(self.findings),
            gradients=Gradients({name: self._tree(heard.gradient) for name, heard in self._heard.items()}),
            certificate=self._certificate(),
            leaves={
                path: (shape, dtype)
                for path, shape, dtype in zip(point.paths, point.shapes, point.dtypes, strict=True)
            },
            resolution=self.resolution,
            seed=self.options.seed,
            locations=self.inquest.locations,
            diagnoses=self.inquest.diagnoses,
            undiagnosed=self.inquest.undiagnosed,
            probes=self.referee.probes.probed if self._numeric_judged else (),
            nearest_kink=self._nearest_kink(),
        )

    @property
    def _heard(self) -> Mapping[str, Testimony]:
        return self.hearing.testimonies

    @property
    def _numeric_judged(self) -> bool:
        return "numeric" in self.options.sources and bool(self._heard)

    def _certificate(self) -> Certificate | None:
        claimed = self._heard.get(self.judged or "")
        if not (claimed and self._numeric_judged):
            return None
        return self.referee.certificate(claimed.gradient, self.options.confidence)

    def _nearest_kink(self) -> float | None:
        """Looked for where a kink was met, or the function lives on a finer scale than the parameters."""
        if not self._numeric_judged:
            return None
        probes = self.referee.probes
        if probes.outputs is not None and probes.outputs.kinked:
            return 0.0
        first = probes.sketched[0]
        met = {Reason.KINK, Reason.KINKS, Reason.KINK_NOT_EXCLUDED, Reason.SUBGRADIENT}
        worth = first.on_finer_scale or any(finding.reason in met for finding in self.findings)
        return first.nearest_kink if worth and not first.doubt else None

    def _overall(self, judgements: Mapping[str, Judgement]) -> Judgement:
        """The claim's verdict, or that of all that differentiate; a function that breaks a contract speaks first."""
        fun = [
            Judgement(f.verdict, f.reason, f.detail)
            for f in self.findings
            if f.sources == ("fun",) and f.reason is not Reason.NON_DETERMINISTIC
        ]
        judged = [self.judged] if self.judged else [name for name in judgements if name in self._heard]
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
        if not could_judge:
            return judgement
        analytic = any(probed.complex_step is not None for probed in self.referee.probes.probed)
        return Judgement(Verdict.AGREES, None, "confirmed by the complex step" if analytic else "")

    def _result(self, name: str, judgement: Judgement) -> SourceResult:
        source: Any = self.sampler if name == "numeric" else self.hearing.asked.get(name)
        if source is None:
            return SourceResult(name, *judgement)
        placed = "float64" if source.placement.double else source.placement.point.dtypes[0]
        dtype = source.dtype or placed
        return SourceResult(name, *judgement, dtype=dtype, calls=source.calls, seconds=source.seconds)

    def _tree(self, gradient: list[Estimate]) -> Any:
        return self.sampler.point.structure.unflatten([leaf.value for leaf in gradient])
