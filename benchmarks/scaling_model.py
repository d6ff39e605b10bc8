"""The cost model of a check and of a sweep: formulas alone. `scaling.py` measures its constants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

GB = 1e9


@dataclass(frozen=True)
class Cost:
    """Of one check, in seconds and bytes."""

    calls: float
    """Of the function."""
    fixed: float
    """Seconds whatever the number of parameters."""
    each: float
    """Seconds for a parameter in one call: x + t·v is formed, and copied to the framework."""
    memory: float
    """Bytes for a parameter, the caller's own array left out."""
    claims: float
    """Calls of the claimed gradient."""

    def seconds(self, parameters: float, function: float, claim: float) -> float:
        """Of a check whose function and claim take so many seconds a call."""
        return self.fixed + self.calls * (function + self.each * parameters) + self.claims * claim

    def room(self, parameters: float, own: float, machine: float) -> int:
        """Checks for which a machine of so many bytes has room; a problem needs `own` bytes a parameter for itself."""
        return int(machine // ((self.memory + own) * parameters))


@dataclass(frozen=True)
class Farm:
    """Machines, all alike."""

    machines: int
    cores: int
    memory: float
    """Bytes of one machine."""

    def at_once(self, cost: Cost, parameters: float, own: float) -> int:
        """Checks that run at one time: one on a core, as long as there is memory."""
        return self.machines * min(self.cores, cost.room(parameters, own, self.memory))

    def seconds(self, checks: int, cost: Cost, parameters: float, own: float, each: float) -> float:
        """Of a sweep of so many checks of `each` seconds; infinite where not one has room."""
        at_once = self.at_once(cost, parameters, own)
        return -(-checks // at_once) * each if at_once else float("inf")


def in_series(rounds: Iterable[int], alone: int, workers: int) -> int:
    """Evaluations that follow one another when a round of so many is shared by workers, `alone` ones are not."""
    return alone + sum(-(-size // workers) for size in rounds)


def sequential_share(times: Mapping[int, float]) -> float:
    """σ of T(P)/T(1) = σ + (1 − σ)/P (Amdahl), by least squares over the numbers of workers P > 1."""
    pairs = [(1 - 1 / workers, seconds / times[1] - 1 / workers) for workers, seconds in times.items()]
    norm = sum(x * x for x, _ in pairs)
    return sum(x * y for x, y in pairs) / norm if norm else float("nan")


def per_byte(small: float, large: float, size: int) -> float:
    """Seconds for a byte, from those for a block of none and for one of `size` bytes."""
    return max(0.0, (large - small) / size)


def bottleneck(rates: Mapping[str, float]) -> str:
    """Name of the least of several rates."""
    return min(rates, key=lambda name: rates[name])


def middle(values: Sequence[float]) -> float:
    """The median; of an even number the lower of the two, which was measured."""
    return sorted(values)[(len(values) - 1) // 2]
