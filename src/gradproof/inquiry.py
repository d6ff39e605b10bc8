"""After a refutation: for every source that disagrees, where it is wrong and which mistake would explain it."""

__all__ = ["Inquest", "Inquiry"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from gradproof.arrays import HostArray
from gradproof.diagnosing import (
    ByProbes,
    ByReference,
    Case,
    Constants,
    Explained,
    Grounds,
    Judge,
    Suspect,
    by_reason,
    convincing,
    corrected_alike,
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
        self.grounds = None if referee is None else Grounds(referee, findings)
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
        leaves = self._wrong_leaves(name)
        self._left = MOST_EVALUATIONS
        truth = self._truth(name) or self._corrected(name, leaves)
        suspect = Suspect(name, self.hearing.testimonies[name].gradient, leaves, truth)
        found: dict[int, Explained] = {}
        for leaf in leaves[:MOST_LEAVES]:
            if explained := self._leaf(suspect, leaf):
                found[leaf] = (
                    self._with_terms(suspect, leaf, explained) if len(found) < MOST_TERMS else explained
                )
                suspect.know(leaf, explained)
        return found

    def _wrong_leaves(self, name: str) -> list[int]:
        """The worst first; all of them where only probes over all refute."""
        against = [
            f for f in self.findings
            if name in f.sources and f.verdict is Verdict.DISAGREES and f.what in ("slope", "gradient", "entries")
            and all(other in ("numeric", name) or self.verdicts.get(other) is Verdict.AGREES for other in f.sources)
        ]  # fmt: skip
        paths = dict.fromkeys(f.leaf for f in sorted(against, key=lambda f: -f.excess))
        leaves = [self.point.paths.index(path) for path in paths if path is not None]
        return leaves or (list(range(len(self.point.paths))) if paths else [])

    def _corrected(self, name: str, leaves: Sequence[int]) -> list[Estimate] | None:
        """The gradient with one mistake corrected in all wrong leaves, where that explains everything."""
        grounds = self.grounds
        if grounds is None or not 1 < len(leaves) <= MOST_LEAVES or not grounds.joint_is_plain:
            return None
        suspect = Suspect(name, self.hearing.testimonies[name].gradient, leaves)
        joint = grounds.referee.probes.sketched
        cases = {
            leaf: self._case(suspect, leaf, ByProbes(grounds.referee, name, suspect.gradient, leaf, joint))
            for leaf in leaves
        }
        return corrected_alike(cases, grounds.referee, name)

    def _leaf(self, suspect: Suspect, leaf: int) -> Explained | None:
        if suspect.truth is not None:
            return self._by_reference(suspect, leaf, suspect.truth[leaf])
        grounds, name = self.grounds, suspect.name
        if grounds is None or not grounds.plain(suspect, leaf):
            return None

        def locate(within: HostArray | None) -> Located | None:
            return self._by_values(grounds, suspect, leaf, within)

        if grounds.slight(name, leaf):
            return Explained([], locate(None))
        case = self._case(suspect, leaf, _by_probes(grounds, suspect, leaf))
        return self._refereed(suspect, leaf, diagnose(case, locate, self._against(suspect, leaf)))

    def _by_reference(self, suspect: Suspect, leaf: int, truth: Estimate) -> Explained:
        against = self._against(suspect, leaf)
        judge = ByReference(suspect.gradient[leaf], truth, self._resolution)
        explained = diagnose(self._case(suspect, leaf, judge), lambda _: against(truth), against)
        return self._refereed(suspect, leaf, explained)

    def _against(self, suspect: Suspect, leaf: int) -> Callable[[Estimate], Located | None]:
        """Locates the entries in which the claim differs from another."""
        path, claim = self.point.paths[leaf], suspect.gradient[leaf]
        return lambda right: by_reference(suspect.name, path, claim, right)

    def _case(self, suspect: Suspect, leaf: int, judge: Judge) -> Case:
        return Case(
            suspect.name, leaf, suspect.gradient, self.point, self.constants, judge,
            wrong=frozenset(suspect.leaves),
        )  # fmt: skip

    def _by_values(
        self, grounds: Grounds, suspect: Suspect, leaf: int, within: HostArray | None
    ) -> Located | None:
        if self._left <= 0:
            return None
        located = by_values(
            suspect.name, leaf, suspect.around(leaf), grounds.referee.probes, self._left,
            grounds.probed(suspect, leaf), within,
        )  # fmt: skip
        self._left -= located.location.evaluations if located else 0
        return located

    def _with_terms(self, suspect: Suspect, leaf: int, explained: Explained) -> Explained:
        """With terms of the function that the claim leaves out, where nothing else convinces."""
        grounds = self.grounds
        if grounds is None or any(map(convincing, explained.diagnoses)):
            return explained
        if grounds.slight(suspect.name, leaf) or not grounds.plain(suspect, leaf):
            return explained
        judge = _by_probes(grounds, suspect, leaf)
        case = replace(self._case(suspect, leaf, judge), gradient=suspect.around(leaf))
        terms = list(misweighted_term(case, grounds.referee, judge))
        return explained._replace(diagnoses=[*terms, *explained.diagnoses])

    def _refereed(self, suspect: Suspect, leaf: int, explained: Explained) -> Explained:
        """With what numeric says of the worst entry, where it refuted the leaf."""
        located, grounds = explained.located, self.grounds
        if located is None or grounds is None or not grounds.joint_is_plain:
            return explained
        if not grounds.refuted(suspect.name, leaf):
            return explained
        seen = refereed(located, leaf, suspect.gradient, grounds.referee.probes)
        return explained._replace(located=seen)

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


def _by_probes(grounds: Grounds, suspect: Suspect, leaf: int) -> ByProbes:
    return ByProbes(grounds.referee, suspect.name, suspect.around(leaf), leaf, grounds.probed(suspect, leaf))
