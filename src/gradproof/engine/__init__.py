"""Work in blocks, here or elsewhere."""

from gradproof.engine.cluster import WorkersLostError
from gradproof.engine.gathering import Crashed
from gradproof.engine.shipping import Shipped, UnpicklableError
from gradproof.engine.workers import WORTH_SECONDS, Workers, block_size

__all__ = [
    "WORTH_SECONDS",
    "Crashed",
    "Shipped",
    "UnpicklableError",
    "Workers",
    "WorkersLostError",
    "block_size",
]
