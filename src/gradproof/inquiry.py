"""After a refutation: for every source that disagrees, where it is wrong and which mistake would explain it."""

__all__ = ["Inquest", "Inquiry"]

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from gradproof.diagnosing import (
    ByProbes,
    ByReference,
    Case,
    Constants,
    Explained,
    by_reason,
    convincing,
    diagnose,
    first_wrong_node,
    merged,
    misweighted_term,
    summed,
)
from gradproof.judging import Referee, judge_source
from gradproof.locating import Located, by_reference, by_values, refereed
from gradproof.network import Network
from gradproof.sources import Hearing
from gradproof.verdict import Diagnosis, Estimate, Finding, Location, Reason, Verdict

MOST_LEAVES = 24
"""Wrong leaves that are looked into, the worst first; a mistake in more is told from those."""

MOST_EVALUATIONS = 1000
"""For the places of all wrong leaves of one source together."""

MOST_TERMS = 3
"""Wrong leaves whose difference is compared with terms of the function: a term is mostly in all of them."""

SLIGHT = 2.0**-32
"""Gap, as a share of the scale, below which function values cannot tell one mistake from another: 2⁻⁴⁰ is forgiven."""


class Inquest(NamedTuple):
    """What came out."""

    locations: tuple[Location, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    undiagnosed: tuple[str, ...] = ()


class Inquiry:
    """Looks into the sources that disagree."""

    def __init__(
        self,
        hearing: Hearing,
        referee: Referee | None,
        findings: Sequence[Finding],
        function: Callable[..., Any],
    ) -> None:
        self.hearing = hearing
        self.referee = referee
        """None if the numeric source was not asked."""
        self.findings = findings
        self.point = hearing.point
        self._function = function
        self.verdicts = {name: judge_source(name, findings).verdict for name in hearing.asked}

    @cached_property
    def constants(self) -> Constants:
        """What a fitted number may be named by."""
        return Constants(self.point, self._function)

    def inquest(self) -> Inquest:
        """Locations and diagnoses of every source that disagrees."""
        wrong = [name for name, verdict in self.verdicts.items() if verdict is Verdict.DISAGREES]
        locations: list[Location] = []
        diagnoses: list[Diagnosis] = []
        undiagnosed = []
        for name in wrong:
            of_source = self._contracts(name) if name not in self.hearing.testimonies else []
            if name in self.hearing.testimonies:
                explained = self._leaves(name)
                locations += [e.located.location for e in explained.values() if e.located]
                leaves = tuple(self.point.paths[leaf] for leaf in explained)
                layer = self._layer(name, leaves)
                of_source = layer + [d for e in explained.values() for d in e.diagnoses]
                if not layer:
                    undiagnosed += self._unexplained(name, explained)
            elif not of_source:
                undiagnosed.append(name)
            diagnoses += merged(of_source)
        diagnoses += self._kinks()
        return Inquest(tuple(locations), tuple(diagnoses), tuple(undiagnosed))

    def _unexplained(self, name: str, explained: Mapping[int, Explained]) -> list[str]:
        """The source, if nothing explains any of its leaves; else with the leaves that nothing explains."""
        without = [self.point.paths[leaf] for leaf, e in explained.items() if not e.diagnoses]
        if len(without) == len(explained):
            return [name]
        return [f"{name}, {leaf}" for leaf in without]

    def _kinks(self) -> list[Diagnosis]:
        """Exact sources that differ where the function has a kink: each may take another subgradient."""
        met = {
            (f.sources[0], f.leaf) for f in self.findings
            if f.what == "slope" and f.reason is Reason.SUBGRADIENT
        }  # fmt: skip
        found = []
        for f in self.findings:
            apart = f.what == "gradient" and f.excess > 1
            if apart and all((name, f.leaf) in met for name in f.sources):
                values = ", ".join(f"{name} {value:.6g}" for name, value in f.values.items())
                says = f"takes another value than {f.sources[1]} at a kink of the function ({values})"
                found.append(Diagnosis("GP109", f.sources[0], (str(f.leaf),), says))
        return merged(found)

    def _contracts(self, name: str) -> list[Diagnosis]:
        found = by_reason(self.findings, name)
        claimed = self.hearing.refused.get(name)
        shapes = [
            f.reason is Reason.SHAPE for f in self.findings if f.sources == (name,) and f.what == "contract"
        ]
        if claimed and shapes and all(shapes):
            better = summed(name, self.point, claimed, lambda gradient: self._agrees(name, gradient))
            found = [better, *found] if better else found
        return found

    def _agrees(self, name: str, gradient: list[Estimate]) -> bool:
        truth = self._truth(name)
        if truth is not None:
            return all(
                ByReference(g, t, self._resolution).agrees(g) for g, t in zip(gradient, truth, strict=True)
            )
        if self.referee is None:
            return False
        return all(f.verdict is Verdict.AGREES for f in self.referee.judge(name, gradient))

    @property
    def _resolution(self) -> float:
        return self.hearing.resolution

    def _truth(self, name: str) -> list[Estimate] | None:
        """The gradient of an exact source that agrees, if there is one."""
        for other, testimony in self.hearing.testimonies.items():
            if other != name and self.verdicts[other] is Verdict.AGREES and testimony.gradient:
                return testimony.gradient
        return None

    def _leaves(self, name: str) -> Mapping[int, Explained]:
        against = [
            f for f in self.findings
            if name in f.sources and f.verdict is Verdict.DISAGREES and f.what in ("slope", "gradient", "entries")
            and all(other in ("numeric", name) or self.verdicts.get(other) is Verdict.AGREES for other in f.sources)
        ]  # fmt: skip
        paths = dict.fromkeys(f.leaf for f in sorted(against, key=lambda f: -f.excess))
        leaves = [self.point.paths.index(path) for path in paths if path is not None]
        leaves = leaves or (list(range(len(self.point.paths))) if paths else [])
        self._left = MOST_EVALUATIONS
        found: dict[int, Explained] = {}
        for leaf in leaves[:MOST_LEAVES]:
            if explained := self._leaf(name, leaf, frozenset(leaves)):
                found[leaf] = (
                    self._with_terms(name, leaf, explained) if len(found) < MOST_TERMS else explained
                )
        return found

    def _leaf(self, name: str, leaf: int, wrong: frozenset[int]) -> Explained | None:
        gradient = self.hearing.testimonies[name].gradient
        truth, path = self._truth(name), self.point.paths[leaf]
        judge: ByReference | ByProbes
        if truth is not None:
            judge = ByReference(gradient[leaf], truth[leaf], self._resolution)
        elif self.referee is not None and self._plain(leaf):
            judge = ByProbes(self.referee, name, gradient, leaf)
        else:
            return None
        case = Case(name, leaf, gradient, self.point, self.constants, judge, wrong=wrong)

        def locate(_: Case) -> Located | None:
            if truth is not None:
                return by_reference(name, path, gradient[leaf], truth[leaf])
            return self._by_values(name, leaf, gradient)

        if truth is None and self._slight(name, leaf):
            return Explained([], locate(case))
        explained = diagnose(case, locate, lambda right: by_reference(name, path, gradient[leaf], right))
        return self._refereed(leaf, gradient, explained)

    def _plain(self, leaf: int) -> bool:
        """Whether the probes of the leaf met neither kink nor doubt."""
        probed = self.referee.probes.of_leaf(leaf) if self.referee else []
        return not any(p.kink or p.doubt for p in probed)

    def _slight(self, name: str, leaf: int) -> bool:
        """Whether all that refutes the leaf is too small for function values to tell mistakes apart."""
        path = self.point.paths[leaf]
        slopes = [f for f in self.findings if f.what == "slope" and f.leaf == path and f.sources[0] == name]
        return all(f.gap < SLIGHT * f.scale for f in slopes)

    def _by_values(self, name: str, leaf: int, gradient: Sequence[Estimate]) -> Located | None:
        if self.referee is None or self._left <= 0:
            return None
        located = by_values(name, leaf, gradient, self.referee.probes, self._left)
        self._left -= located.location.evaluations if located else 0
        return located

    def _with_terms(self, name: str, leaf: int, explained: Explained) -> Explained:
        """With terms of the function that the claim leaves out, where nothing else convinces."""
        convinced = any(map(convincing, explained.diagnoses))
        if self.referee is None or convinced or not self._plain(leaf) or self._slight(name, leaf):
            return explained
        gradient = self.hearing.testimonies[name].gradient
        judge = ByProbes(self.referee, name, gradient, leaf)
        case = Case(name, leaf, gradient, self.point, self.constants, judge)
        terms = list(misweighted_term(case, self.referee, [*judge.probed, judge.fresh]))
        return explained._replace(diagnoses=[*terms, *explained.diagnoses])

    def _refereed(self, leaf: int, gradient: Sequence[Estimate], explained: Explained) -> Explained:
        """With what numeric says of the worst entry, where the leaf was probed on its own anyway."""
        located = explained.located
        slopes = [f for f in self.findings if f.what == "slope" and f.leaf == self.point.paths[leaf]]
        refuted = any(f.verdict is Verdict.DISAGREES for f in slopes)
        if located is None or self.referee is None or not refuted:
            return explained
        return explained._replace(located=refereed(located, leaf, gradient, self.referee.probes))

    def _layer(self, name: str, leaves: tuple[str, ...]) -> list[Diagnosis]:
        """The faulty step inside a hand-written network."""
        claim = self.hearing.claim
        network = getattr(claim.grad or claim.value_and_grad, "__self__", None)
        if name != "hand" or not isinstance(network, Network):
            return []
        placement = self.hearing.asked[name].placement
        with placement.context():
            params = self.point.structure.unflatten(placement.arrays(self.point.leaves))
            nodes = network.nodes(params, *placement.args[:2])
            node = first_wrong_node(nodes, resolution=self._resolution)
        if node is None:
            return []
        last = node is nodes[-1]
        step = (
            "the loss's residual"
            if last
            else f"the step back to {node.name} (its activation's derivative, or the weight after it)"
        )
        says = f"has a wrong delta in {node.name}, and right ones after it: {step}"
        return [Diagnosis("GP125", name, leaves, says)]
