"""The probes of one function at one point: drawn when they are needed, and shared by all gradients that are judged."""

__all__ = ["GAUSSIAN_PROBES", "Probes"]

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from gradproof.arrays import HostArray
from gradproof.judging.inward import inward_signs
from gradproof.judging.outputs import Outputs
from gradproof.judging.probed import SHIFTED_STEP, Probed
from gradproof.judging.reader import Reader
from gradproof.numeric.bundles import Bundles
from gradproof.numeric.climb import climb
from gradproof.numeric.complex_step import complex_step
from gradproof.numeric.ladder import hidden_kinks
from gradproof.numeric.line import Line
from gradproof.numeric.probe import Probe, gaussian_probe, sign_probe
from gradproof.numeric.sampling import Sampler
from gradproof.numeric.short import again
from gradproof.verdict import Estimate, Reason

GAUSSIAN_PROBES = 2
"""Joint probes behind the certificate. With 2 the bound is 25 × the largest gap + bar at 99.9 %, with 3 8 ×, with 10
1.5 ×; bars near 1e-13 of the scale leave room for the cheapest."""


PARTS = 2
"""Probes that tell mistakes in one leaf apart: with one alone any number could be fitted."""


class Probes:
    """Directions, and the slopes along them."""

    def __init__(self, sampler: Sampler, rng: np.random.Generator) -> None:
        self.sampler = sampler
        self.rng = rng
        self.signs: tuple[HostArray, ...] | None = None
        """Ways into the domain, for a point on its edge."""
        self._joint: list[Probed] = []
        self._of_leaf: dict[int, list[Probed]] = {}
        self._parts: dict[int, list[Probed]] = {}

    @property
    def joint(self) -> list[Probed]:
        """Probes over all leaves: one that no entry escapes, then those of the certificate."""
        for number, probed in enumerate(self.sketched):
            if probed.short:
                self._joint[number] = probed.lengthened()
        return self._joint

    @property
    def sketched(self) -> list[Probed]:
        """The same, but for the first along short ladders until somebody has asked for the joint ones: enough to agree."""
        if not self._joint:
            outputs = self.outputs
            self._joint = self._of_a_scalar() if outputs is None else self._of_an_array(outputs)
            first = self._joint[0]
            first.narrow(complex_step(self.sampler, first.probe, self._sum, first.slope))
        return self._joint

    def _of_a_scalar(self) -> list[Probed]:
        lines = [self.line(self.draw(draw)) for draw in (sign_probe, *[gaussian_probe] * GAUSSIAN_PROBES)]
        first = Probed(lines[0], None)
        if first.doubt is Reason.DOMAIN:
            self.signs = inward_signs(self.sampler)
            if self.signs is not None:
                lines = [self.line(line.probe.turned(self.signs)) for line in lines]
                first = Probed(lines[0], None)
        slopes = again(lines[1:], first.slope)
        return [
            first,
            *(Probed(line, None, known=slope) for line, slope in zip(lines[1:], slopes, strict=True)),
        ]

    def _of_an_array(self, outputs: Outputs) -> list[Probed]:
        gaussian = [self.draw(gaussian_probe) for _ in range(GAUSSIAN_PROBES)]
        return [outputs.along(probe) for probe in (outputs.probe, *gaussian)]

    @cached_property
    def outputs(self) -> Outputs | None:
        """Of a function of an array: which of them are judged, along the first joint probe."""
        if self.sampler.output_shape == ():
            return None
        return Outputs(self.sampler, self.draw(sign_probe), self.rng)

    @cached_property
    def cotangent(self) -> HostArray:
        """By which outputs are weighed, shape of the output: 1.0 for a scalar."""
        return np.asarray(1.0) if self.outputs is None else self.outputs.cotangent

    @cached_property
    def _sum(self) -> Bundles:
        """All judged outputs in one."""
        return Bundles(self.cotangent, most=1)

    def of_leaf(self, leaf: int) -> list[Probed]:
        """Probes along which only leaf number `leaf` moves."""
        if len(self.sampler.point.leaves) == 1:
            return self.sketched
        if leaf not in self._of_leaf:
            self._of_leaf[leaf] = [
                self.along(self.draw(draw, leaf), leaf) for draw in (sign_probe, gaussian_probe)
            ]
        return self._of_leaf[leaf]

    def one_by_one(self, leaf: int) -> Iterator[Probed]:
        """The same, whole, as they are wanted: the first is mostly enough."""
        if len(self.sampler.point.leaves) > 1:
            yield from self.of_leaf(leaf)
        else:
            yield self.sketched[0]
            yield from self.joint[1:]

    def parts_of_leaf(self, leaf: int, need: float) -> list[Probed]:
        """The same in fewer evaluations: parts of joint probes without kinks, with bars of `need` or less.

        What they tell has to have been refuted by others.
        """
        if leaf in self._of_leaf or len(self.sampler.point.leaves) == 1:
            return self.of_leaf(leaf)
        if leaf not in self._parts:
            self._parts[leaf] = [self._part(probed, leaf, need) for probed in self.sketched[:PARTS]]
        return self._parts[leaf]

    def _part(self, probed: Probed, leaf: int, need: float) -> Probed:
        point, line = self.sampler.point, self.line(probed.probe.of_leaf(leaf))
        share = point.leaves[leaf].size / point.size
        whole = self.sketched[0] if probed.short else probed
        read = Reader(self.line, [whole]).smooth(line, share, need)
        path = point.paths[leaf]
        return Probed(line, path) if read is None else whole.part(line, path, *read)

    @property
    def probed(self) -> tuple[Probed, ...]:
        """All that was probed so far."""
        return (*self.sketched, *(p for probes in self._of_leaf.values() for p in probes))

    @cached_property
    def grain(self) -> float:
        """What one probe has seen of steps holds for all."""
        return max(probed.grain for probed in self.sketched)

    def tangent(self, probe: Probe) -> Estimate:
        """Derivative of every output along `probe`, shape of the output; the bar is infinite where there is none.

        It holds what a kink too close to be seen could do: nothing else confirms it before it refutes.
        """
        line = self.sampler.line(probe)
        slope, second = climb(line), climb(line, first_step=SHIFTED_STEP)
        sure = ~(slope.kink | slope.broken) & (np.abs(slope.value - second.value) <= slope.bar + second.bar)
        bar = slope.bar + hidden_kinks(line, slope)
        bar = np.where(sure & np.isfinite(bar), bar, np.inf)
        shape = self.sampler.output_shape
        return Estimate(slope.value.reshape(shape), bar.reshape(shape))

    def draw(self, draw: Callable[..., Probe], leaf: int | None = None) -> Probe:
        """A probe by `draw`, over all leaves or only one, into the domain."""
        probe = draw(self.sampler.point, self.rng, self.sampler.placement.unit_roundoff, leaf)
        return probe if self.signs is None else probe.turned(self.signs)

    def along(self, probe: Probe, leaf: int | None = None) -> Probed:
        """The slope along `probe`; `leaf` is the only one that moves, if one is."""
        path = None if leaf is None else self.sampler.point.paths[leaf]
        return Probed(self.line(probe), path)

    def line(self, probe: Probe) -> Line:
        """The judged outputs' weighted sum along `probe`."""
        return self.sampler.line(probe, self._sum)
