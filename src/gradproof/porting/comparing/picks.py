"""One array of a run."""

__all__ = ["buffer_of", "cotangent_of", "gradient_of", "output_of", "picked", "value_of"]

from collections.abc import Callable

from gradproof.arrays import HostArray
from gradproof.porting.port import Run


def gradient_of(run: Run, path: str) -> HostArray | None:
    """Of a parameter. None if the run has none."""
    return None if run.gradients is None else run.gradients.get(path)


def buffer_of(run: Run, path: str) -> HostArray | None:
    """What is not trained. None if the run has none."""
    return run.buffers.get(path)


def output_of(run: Run, path: str) -> HostArray | None:
    """An output. None if the run has none."""
    return run.outputs.get(path)


def value_of(run: Run, key: str) -> HostArray | None:
    """Of a node. None if the run has none."""
    node = run.by_key.get(key)
    return None if node is None else node.value


def cotangent_of(run: Run, key: str) -> HostArray | None:
    """Of a node. None if the run has none."""
    node = run.by_key.get(key)
    return None if node is None else node.cotangent


def picked(
    runs: tuple[Run, Run] | None, pick: Callable[[Run], HostArray | None]
) -> tuple[HostArray | None, ...] | None:
    """From two runs."""
    return None if runs is None else tuple(map(pick, runs))
