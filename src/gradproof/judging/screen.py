"""What every leaf adds to a gap that a probe over several showed, read in a few evaluations each."""

__all__ = ["Share", "shares"]

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from gradproof.judging.compare import Directional, along
from gradproof.judging.probed import SHIFTED_STEP, Probed
from gradproof.judging.probes import Probes
from gradproof.judging.reader import Reader
from gradproof.numeric.climb import climb
from gradproof.numeric.line import Line
from gradproof.verdict import Estimate

SHARP = 256.0
"""Part of the gap of all leaves to which the slope of one is read."""

CLEAR = 16.0
"""Bars by which a leaf has to be off to be called wrong at this sight; one that is off by less is read more closely."""


BEYOND_KINKS = 4.0
"""Factor by which a leaf is off by more than kinks too close to be seen could explain."""


class Share(NamedTuple):
    """One leaf along its part of a probe."""

    claim: Directional
    slope: Estimate
    line: Line

    @property
    def clean(self) -> bool:
        """Whether the claim differs from the slope by no more than both bars."""
        return self._gap <= self._bar

    @property
    def wrong(self) -> bool:
        """Whether it differs by many bars."""
        return self._gap > CLEAR * self._bar

    def confirmed(self, whole: Probed) -> bool:
        """Whether a ladder of its own, from coarse steps down, confirms that it is wrong.

        It was read at the steps that suit the `whole` probe, at which a small leaf beside a large one may stand still, or kink.
        Without this right leaves that round inside were blamed, in 3 of 300 random trees.
        """
        gap = self._gap
        if gap <= whole.hidden_kink or (self.claim.value == 0 and whole.still):
            return False
        own = climb(self.line, first_step=SHIFTED_STEP, enough=gap / SHARP)
        clear = ~(own.kink | own.broken | own.stairs | own.outside) & (own.bar <= gap / CLEAR)
        same = np.abs(own.value - self.slope.value) <= own.bar + self.slope.bar
        hidden = (np.abs(own.jump) + own.jump_bar) / 2
        return bool(np.all(clear & same & (hidden + own.bar + self._bar <= gap / BEYOND_KINKS)))

    @property
    def _gap(self) -> float:
        return abs(self.claim.value - float(self.slope.value[0]))

    @property
    def _bar(self) -> float:
        return self.claim.bar + float(self.slope.bar[0])


def shares(
    gradient: Sequence[Estimate], leaves: Collection[int], whole: Probed, probes: Probes
) -> dict[int, Share]:
    """The share of every leaf in `whole`, a probe over these leaves; nothing if they do not add up to it.

    That they do also confirms the slope: it is that of a function with a derivative. Their bars are from their own samples.
    """
    gap = abs(along(gradient, whole.probe).value - float(whole.slope.value[0]))
    if not np.isfinite(gap):
        return {}
    reader, found = Reader(probes.line, [whole]), {}
    for leaf in leaves:
        found[leaf] = _share(gradient, leaf, whole, reader, gap / SHARP)
    total = sum(float(share.slope.value[0]) for share in found.values())
    bars = sum(float(share.slope.bar[0]) for share in found.values())
    adds_up = abs(total - float(whole.slope.value[0])) <= bars + float(whole.slope.bar[0])
    return found if adds_up else {}


def _share(gradient: Sequence[Estimate], leaf: int, whole: Probed, reader: Reader, need: float) -> Share:
    part = whole.probe.of_leaf(leaf)
    claim, line = along(gradient, part), reader.line(part)
    entries = gradient[leaf].value.size / sum(gradient[i].value.size for i in range(len(gradient)))

    def read(need: float) -> Share:
        value, bar = reader.sure(line, entries, need)
        return Share(claim, Estimate(np.array([value]), np.array([bar])), line)

    share = read(need)
    if share.clean or share.wrong:
        return share
    return read(abs(claim.value - float(share.slope.value[0])) / (2 * CLEAR))
