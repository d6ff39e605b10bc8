"""A linear map: which way round its weight lies, and of what it is taken."""

__all__ = ["linear_causes"]

from collections.abc import Iterator

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.causes.bases import floating, named_parameter
from gradproof.porting.causes.evidence import Evidence, float64
from gradproof.porting.stretch import Cause, Stretch


def linear_causes(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """A square weight that is transposed on one side: by formula, else by asking the port again."""
    bias = named_parameter(stretch.parameters, ("bias", "b"))
    for path, weight in stretch.parameters.items():
        if np.ndim(weight) != 2 or weight.shape[0] != weight.shape[1]:
            continue
        matrix = float64(weight)
        for x in floating(stretch).values():
            if x.ndim and x.shape[-1] == len(matrix) and x.shape == evidence.expected.shape:
                plus = np.zeros(()) if bias is None else bias
                straight, turned = x @ matrix + plus, x @ matrix.T + plus
                if _crossed(straight, turned, evidence) or _crossed(turned, straight, evidence):
                    yield Cause("GP227", f"{path} is used transposed in {{port}}", "transpose it")
                    return
    yield from _again(stretch, evidence)


def _crossed(one: HostArray, other: HostArray, evidence: Evidence) -> bool:
    return evidence.is_expected(one) and evidence.is_found(other)


def _again(stretch: Stretch, evidence: Evidence) -> Iterator[Cause]:
    """Any square weight of the port transposed (the last two of its axes)."""
    if stretch.again is None:
        return
    for path, weight in stretch.other_parameters.items():
        square = np.ndim(weight) >= 2 and weight.shape[-1] == weight.shape[-2]
        if square and not np.array_equal(weight, np.swapaxes(weight, -1, -2)):
            replaced = stretch.again({path: np.ascontiguousarray(np.swapaxes(weight, -1, -2))})
            if evidence.is_expected(float64(replaced)):
                yield Cause("GP227", f"{path} is used transposed in {{port}}", "transpose it")
                return
