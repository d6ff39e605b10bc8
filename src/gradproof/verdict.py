"""The words of an answer: Verdict, Reason, Estimate, Finding, Location, Diagnosis. No behaviour beyond reading them."""

__all__ = ["Certificate", "Diagnosis", "Estimate", "Finding", "Location", "Reason", "Verdict"]

from dataclasses import dataclass, field
from enum import Enum
from math import inf, nan

import numpy as np

from gradproof.arrays import HostArray


class Verdict(Enum):
    """What a comparison came to."""

    AGREES = "AGREES"
    """The values differ by no more than their bars, and the bars were small enough to show what matters."""

    DISAGREES = "DISAGREES"
    """The values differ by more than their bars, or a contract is broken."""

    UNDECIDED = "UNDECIDED"
    """Nothing could be shown either way; the Reason says why and what to do."""

    UNSUPPORTED = "UNSUPPORTED"
    """The source could not be asked; the Reason says why."""


class Reason(Enum):
    """Why a verdict is what it is. The value is the sentence that is shown."""

    # DISAGREES
    DIFFERS = "the two values differ by more than both can be off"
    OUTVOTED = (
        "the other sources agree with each other on another value; numeric was not asked, or cannot tell"
    )
    AGAINST_VALUES = (
        "other sources give the same, and the function's values do not: a stopped gradient, a custom rule, or one "
        "mistake in each of them"
    )
    DIFFERENT_FUNCTION = "the function's value already differs here: this is not the same function"
    STRUCTURE = "the claim is not a tree like params"
    MISSING = "the claim has no array for this leaf"
    SHAPE = "the claim has another shape than the parameter"
    DTYPE = "the claim has another dtype than the parameter"
    NOT_FINITE = "the claim is NaN or infinite where the function is finite"
    MUTATES = "it changed its input in place; work on a copy inside"
    ACCUMULATES = (
        "called again it returned a multiple of its first answer: it adds to a buffer that it never clears"
    )
    STALE = "its answer depends on where the function was evaluated last: run the forward pass inside the claim, or pass value_and_grad="
    RANDOM_CLAIM = "called again it returned something else; fix the seed inside"
    NOT_LINEAR = (
        "a scaled cotangent did not scale the answer: the upstream gradient is ignored, or read in part"
    )
    LAYOUT = (
        "a cotangent that is not contiguous in memory gave another answer: it is read with the wrong strides"
    )
    # AGREES, with a word to it
    SUBGRADIENT = "the function has a kink here, and the claim lies between its one-sided slopes"
    UNSEEN = "entries this small cannot be seen in the function's values"
    MASKED = "outputs that cannot be judged at this point were left out"
    # UNDECIDED
    RESOLUTION = "the bar is wider than the resolution asked for; evaluate in float64, or ask for less"
    KINK = "the function has a kink here, and the claim lies outside its one-sided slopes; move the point a little"
    KINKS = "many entries meet kinks of the function here and cannot be judged apart; move the point a little"
    KINK_NOT_EXCLUDED = (
        "a kink closer than the smallest step could explain the difference; move the point a little"
    )
    NOT_ADDITIVE = (
        "slopes along parts of a direction do not add up: kinks meet at this point; move it a little"
    )
    JUMP = "the function jumps at the point itself; there is no derivative"
    STAIRS = (
        "the function is a staircase, of pieces with jumps between them: the claim can hold on one scale only"
    )
    NON_DETERMINISTIC = (
        "the function returned different values at one point; fix the seed inside, or switch dropout off"
    )
    DOMAIN = "the function is not finite at the point, or on one side of it; move the point into the domain"
    NAN_UNDER_MASK = (
        "the claim is not finite, maybe because of outputs that were left out: 0 × infinity; move the point"
    )
    ROUGH = "the function's values are noisier than their last digits: rewrite what cancels, or evaluate in float64"
    VANISHING = "the derivative is zero to within what can be known here; check at a point where it is not"
    UNSTABLE = "two ladders of steps gave different slopes; the function is rougher than its values can show"
    DISPUTED = (
        "sources differ by more than their rounding, and nothing that was asked can tell which is right"
    )
    NOTHING_COMPARED = "no two sources could be compared"
    # UNSUPPORTED
    NOT_INSTALLED = "its framework is not installed; `pip install` it, or leave the source out"
    CANNOT_RUN = "cannot run this function; fun={...} takes one for each framework"
    NO_DERIVATIVE = "the backend does not differentiate"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its bar: |value − truth| ≤ bar, entry by entry. Both float64, of one shape."""

    value: HostArray
    bar: HostArray

    def __post_init__(self) -> None:
        if np.shape(self.value) != np.shape(self.bar):
            raise ValueError(
                f"an Estimate has one bar per value: got shapes {np.shape(self.value)} and {np.shape(self.bar)}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of value and bar."""
        return np.shape(self.value)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Bound on the 2-norm of a gradient's error, each entry weighted by the size of its parameter."""

    bound: float
    relative: float
    """The bound over the same norm of the gradient itself."""
    confidence: float
    """Probability, over the draw of the probes, that the bound holds."""
    probes: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison, or one contract.

    `gap`, `bar` and `scale` are in units of the compared quantity: for an array those of its worst entry and
    the array's root of the sum of squares; for a probe those of the slope along it.
    """

    what: str
    """ "contract", "value", "gradient" (entry by entry), "slope" (along a probe) or "tangent"."""
    sources: tuple[str, ...]
    """One name for a contract, two for a comparison."""
    leaf: str | None
    """Path of the leaf; None when it concerns all of them."""
    verdict: Verdict
    reason: Reason | None = None
    detail: str = ""
    """What came and what was due, in this case."""
    gap: float = nan
    bar: float = nan
    scale: float = nan
    worst: tuple[int, ...] | None = None
    """Index of the entry whose gap is the largest multiple of its bar."""
    values: dict[str, float] = field(default_factory=dict)
    """Value of each source, at `worst` or along the probe."""

    @property
    def resolution(self) -> float:
        """Smallest error, relative to the scale, that this comparison would have shown."""
        return self.bar / self.scale if self.scale > 0 else inf

    @property
    def excess(self) -> float:
        """Gap in multiples of the bar: above 1 the two differ."""
        if self.gap == 0:
            return 0.0
        return self.gap / self.bar if self.bar > 0 else inf

    def __str__(self) -> str:
        parts = [self.verdict.value, " ~ ".join(self.sources), self.what, self.leaf or "all leaves"]
        why = self.detail or (self.reason.value if self.reason else "")
        return "  ".join(part for part in parts if part) + (f": {why}" if why else "")


@dataclass(frozen=True, slots=True)
class Location:
    """Where the gradient of one source is wrong, in one leaf."""

    source: str
    leaf: str
    pattern: str
    """ "entries" (a few, each named), "slice" (row, column, channel), "block", "scattered" or "whole"."""
    where: str
    """In words: "row 3", "entries [0:4, 2:3]", "about 60 % of the entries"."""
    share: float
    """Of the leaf's entries that are wrong."""
    count: int | None
    """Number of wrong entries; None where the share was sampled."""
    entries: tuple[tuple[int, ...], ...] = ()
    """Indices of wrong entries, the worst first; all of them if their number is `count`."""
    errors: tuple[float, ...] = ()
    """The source's value minus the right one at `entries`."""
    bars: tuple[float, ...] = ()
    """How far each of the `errors` can be off."""
    numeric: float = nan
    """What the numeric source finds at the first of the `entries`, if it was asked there."""
    numeric_bar: float = nan
    evaluations: int = 0
    """Of the function, to find this; 0 where another source's gradient was at hand."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A mistake that explains the whole difference of one source in some leaves: corrected for it, the claim agrees."""

    code: str
    """Stable: "GP101". `explain(code)` tells more."""
    source: str
    leaves: tuple[str, ...]
    says: str
    """One sentence, with the fitted number."""
    correction: str = ""
    """What to do to the claimed gradient g, as an expression: "g / 2", "g.T"; empty where that is not known."""
    value: float = nan
    """The fitted number, if there is one."""
    bar: float = nan
    """How far it can be off."""
    named: str = ""
    """What the number is, of the constants at hand: "1/len(x)", "lam/len(x)"."""
