"""The faulty step of a hand-written backward pass, found by checking inside of it.

Every layer's delta is the derivative of the rest of the network in that layer's sums. Going back from the loss,
mistakes stay: where the delta of one layer is right and that of the layer before it wrong, the step between the two
is the faulty one. It is found by bisection.
"""

__all__ = ["first_wrong_node"]

from collections.abc import Sequence

import numpy as np

from gradproof.judging import Referee
from gradproof.nodes import Node
from gradproof.numeric.sampling import sampler_for
from gradproof.options import DEFAULT_RESOLUTION
from gradproof.point import take_point
from gradproof.sources.rounding import Movement
from gradproof.verdict import Verdict


def first_wrong_node(
    nodes: Sequence[Node], *, resolution: float = DEFAULT_RESOLUTION, seed: int = 0
) -> Node | None:
    """The last of `nodes`, in the order of the forward pass, whose delta is wrong; None if the first one's is right.

    The step of the backward pass that leads to it is the faulty one. Costs log₂(len(nodes)) + 1 small checks of the rest
    of the computation. Raises ValueError for no nodes, and a delta that is not of its value's shape.
    """
    if not nodes:
        raise ValueError("no nodes: pass the intermediate values of the forward pass, first to last")
    if not _wrong(nodes[0], resolution, seed):
        return None
    low, high = 0, len(nodes)  # nodes[low] is wrong; nodes[high], if there is one, is right
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _wrong(nodes[middle], resolution, seed) else (low, middle)
    return nodes[low]


def _wrong(node: Node, resolution: float, seed: int) -> bool:
    point = take_point(node.value, ())
    delta = point.home.to_numpy(node.delta).astype(np.float64)
    if delta.shape != point.shapes[0]:
        raise ValueError(f"{node.name}: the delta has shape {delta.shape}, the value {point.shapes[0]}")
    referee = Referee(sampler_for(node.rest, point), np.random.default_rng(seed), resolution)
    claimed = Movement(delta).estimate(point.unit_roundoff, point.longest_axis)
    return any(finding.verdict is Verdict.DISAGREES for finding in referee.judge("hand", [claimed]))
