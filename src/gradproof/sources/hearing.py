"""Every exact source of one check is asked; what it answers, why it cannot, or which contract it breaks is kept."""

__all__ = ["Hearing"]

from collections.abc import Mapping, Sequence

import numpy as np

from gradproof.arrays import HostArray
from gradproof.backend import Backend, installed, load
from gradproof.point import Placement, Point
from gradproof.sources.claim import Claim, Function, implementation
from gradproof.sources.contracts import ContractBroken
from gradproof.sources.exact import Autodiff, Hand, Source, with_note
from gradproof.sources.testimony import Testimony, testify
from gradproof.verdict import Finding, Reason


class Hearing:
    """Asks sources about one function at one point."""

    def __init__(
        self,
        fun: Function | Mapping[str, Function],
        point: Point,
        claim: Claim,
        *,
        judged: str | None,
        cotangent: HostArray,
        resolution: float,
        rng: np.random.Generator,
    ) -> None:
        self.fun = fun
        self.point = point
        self.claim = claim
        self.judged = judged
        """The source that states the claim: asked in the caller's precision; what it raises is the caller's error."""
        self.cotangent = cotangent
        self.resolution = resolution
        self.rng = rng
        self.asked: dict[str, Source] = {}
        self.testimonies: dict[str, Testimony] = {}
        self.findings: list[Finding] = []
        self.refused: dict[str, Mapping[str, HostArray]] = {}
        """Arrays of claims that are not like the parameters, by source and path."""
        self.unsupported: dict[str, tuple[Reason, str]] = {}

    def hear(self, names: Sequence[str]) -> None:
        """Ask the sources `names`, in this order; "numeric" is not one of them."""
        for name in names:
            if name == "hand":
                self._hear_hand()
            elif name != "numeric":
                self._hear_framework(name)

    def _hear_hand(self) -> None:
        home = self.point.home
        source = Hand(
            self.claim, implementation(self.fun, home.name), Placement(self.point, home, double=False)
        )
        self.asked["hand"] = source
        if self.claim.reverse:
            with_note("the claim at params (source hand)", lambda: self._take_testimony(source))

    def _hear_framework(self, name: str) -> None:
        try:
            backend = load(name)
        except Exception as error:
            self.unsupported[name] = (
                Reason.CANNOT_RUN if installed(name) else Reason.NOT_INSTALLED, _summary(error)
            )  # fmt: skip
            return
        fun = implementation(self.fun, name)
        if not backend.differentiates:
            self.unsupported[name] = (Reason.NO_DERIVATIVE, "")
        elif fun is None:
            self.unsupported[name] = (Reason.CANNOT_RUN, f"fun has no entry {name!r}")
        elif name == self.judged:
            source = Autodiff(name, fun, Placement(self.point, backend, double=False))
            with_note(
                f"fun or its derivative at params (source {name})", lambda: self._take_testimony(source)
            )
        else:
            self._try_framework(name, fun, backend)

    def _try_framework(self, name: str, fun: Function, backend: Backend) -> None:
        """float64 first. The one door where a foreign framework may fail: the reason is kept and shown."""
        for double in (True, False):
            try:
                self._take_testimony(Autodiff(name, fun, Placement(self.point, backend, double=double)))
            except Exception as error:
                self.unsupported.setdefault(name, (Reason.CANNOT_RUN, _summary(error)))
            else:
                self.unsupported.pop(name, None)
                return

    def _take_testimony(self, source: Source) -> None:
        twice = source.name == self.judged
        try:
            testimony = testify(source, self.cotangent, self.rng, self.resolution, twice=twice)
        except ContractBroken as error:
            self.findings += error.findings
            self.refused[source.name] = error.claimed
        else:
            self.testimonies[source.name] = testimony
        self.asked[source.name] = source


def _summary(error: Exception) -> str:
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}".rstrip(": ")
