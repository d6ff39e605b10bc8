"""How far equal networks are from the bars of a comparison, how often they are refused, and how small a mistake is seen.

    python benchmarks/port_bars.py                  # everything, some minutes: writes benchmarks/results/port_bars.txt
    python benchmarks/port_bars.py --pairs 20       # fewer of each kind: prints, writes nothing

Every pair is a network drawn anew from its number, one to thirty layers deep, written in two ways that are equal in exact
arithmetic. Gaps are those of the worst entry, in multiples of its bar: above 1 the pair is refused.
"""

import os

# One thread for everything, before NumPy loads its BLAS.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import platform
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from gradproof import compare
from gradproof.verdict import Reason, Verdict
from port_bars_ground import Drawn, draw, port_of

ROOT = Path(__file__).parents[1]
TEXT = ROOT / "benchmarks/results/port_bars.txt"
STAGES = ("output", "forward", "backward", "gradient", "precision")
SIZES = (1e-12, 1e-11, 1e-10, 1e-8, 1e-6)


@dataclass(frozen=True)
class Kind:
    """Pairs of one kind."""

    name: str
    other: str
    """The form that is compared with torch's own."""
    dtypes: tuple[str, ...]
    pairs: int
    scaled: bool = False
    """Whether some layers multiply by 10⁻⁴ to 10⁴."""
    to: str = ""
    """Dtype of the port, where it is not the reference's."""


KINDS = (
    Kind("torch, by hand", "torch by hand", ("float32",), 60),
    Kind("torch, by hand", "torch by hand", ("float64",), 40),
    Kind("torch, by hand", "torch by hand", ("bfloat16", "float16"), 40),
    Kind("JAX", "jax", ("float32", "float64"), 30),
    Kind("JAX by hand", "jax by hand", ("float32", "float64"), 30),
    Kind("float64 port", "torch by hand", ("float32",), 30, to="float64"),
    Kind("badly scaled", "torch by hand", ("float32", "float64"), 40, scaled=True),
)


@dataclass(frozen=True)
class Outcome:
    """Of one pair."""

    verdict: Verdict
    said: str
    excess: dict[str, float]
    """Largest gap in multiples of its bar, by stage."""
    stages: frozenset[str]
    """Stages that differ."""
    empty: bool
    """Whether the network drawn has no output to compare: zero, or not finite."""


def outcome(drawn: Drawn, kind: Kind, wrong: tuple[str, float] | None = None) -> Outcome:
    """One comparison."""
    ports = {"torch": port_of(drawn, "torch"), "port": port_of(drawn, kind.other, wrong=wrong, dtype=kind.to)}
    report = compare(ports, (drawn.x,), diagnose=False, numeric=False)
    excess = dict.fromkeys(STAGES, 0.0)
    for finding in report.compared["port"].findings:
        if finding.what in excess and finding.gap > 0:
            ratio = finding.gap / finding.bar if finding.bar > 0 else np.inf
            excess[finding.what] = max(excess[finding.what], ratio)
    worst = max(excess, key=lambda stage: excess[stage])
    return Outcome(
        report.verdict,
        f"{report.compared['port'].detail}; {worst} {excess[worst]:.1e} bars",
        excess,
        frozenset(f.what for f in report.compared["port"].findings if f.verdict is Verdict.DISAGREES),
        report.reason is Reason.NOTHING_COMPARED,
    )


def drawn_for(kind: Kind, number: int) -> Drawn:
    """The network of a number."""
    return draw(np.random.default_rng([number, kind.scaled]), kind.dtypes, scaled=kind.scaled)


def false_alarms(pairs: int | None) -> Iterator[str]:
    """Lines of the table of equal pairs; those refused below it."""
    head = "".join(f"{stage:>26}" for stage in STAGES)
    yield f"{'':28}{'pairs':>6}{'refused':>9}{'of these in precision alone':>29}{head}"
    yield f"{'':72}" + f"{'50 %':>10}{'95 %':>8}{'100 %':>8}" * len(STAGES)
    refused: list[str] = []
    total = alarms = 0
    for kind in KINDS:
        found = []
        for number in range(pairs or kind.pairs):
            drawn = drawn_for(kind, number)
            one = outcome(drawn, kind)
            found.append(one)
            if one.verdict is not Verdict.AGREES and not one.empty:
                refused.append(f"{kind.name} {number}, {one.said}\n    {drawn}")
        told = [one for one in found if not one.empty]
        bad = sum(one.verdict is not Verdict.AGREES for one in told)
        alone = sum(one.stages == {"precision"} for one in told)
        total, alarms = total + len(told), alarms + bad
        yield f"{f'{kind.name}, {_dtypes(kind)}':28}{len(told):>6}{bad:>9}{alone:>29}" + "".join(
            _quantiles([one.excess[stage] for one in told]) for stage in STAGES
        )
    yield f"{'all':28}{total:>6}{alarms:>9}"
    yield from ("", "Refused:", *(refused or ["none"]))


def _dtypes(kind: Kind) -> str:
    short = {"float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}
    return "/".join(short[dtype] for dtype in kind.dtypes)


def _quantiles(excess: Sequence[float]) -> str:
    at = [float(np.quantile(excess, share, method="lower")) for share in (0.5, 0.95, 1.0)]
    return "".join(f"{one:>{width}.1g}" for one, width in zip(at, (10, 8, 8), strict=True))


def seen(nets: int) -> Iterator[str]:
    """How many mistakes of a size are seen: one entry of one parameter, off by a share of itself."""
    kinds = (KINDS[0], KINDS[1], KINDS[2])
    yield f"{'off by':>10}" + "".join(f"{_dtypes(kind):>14}" for kind in kinds)
    for size in SIZES:
        shares = []
        for kind in kinds:
            found = 0
            for number in range(nets):
                drawn = drawn_for(kind, 10_000 + number)
                rng = np.random.default_rng(number)
                key = str(
                    rng.choice([key for key in drawn.parameters if key.partition(".")[2] in ("w", "g")])
                )
                one = outcome(drawn, kind, (key, size))
                found += "forward" in one.stages
            shares.append(found / nets)
        yield f"{size:>10.0e}" + "".join(f"{share:>13.0%} " for share in shares)


def lines(arguments: argparse.Namespace) -> Iterator[str]:
    """All that is printed."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "jax"))
    yield f"Python {platform.python_version()}, {packages}, {platform.machine()}"
    yield ""
    yield "Equal pairs: gaps in multiples of their bars, the worst of a stage; quantiles over the pairs"
    yield ""
    yield from false_alarms(arguments.pairs)
    yield ""
    yield "Mistakes: one entry of one weight or gain, off by a share of itself; how many are seen on the way forward"
    yield ""
    yield from seen(arguments.pairs or 20)


def main() -> int:
    """Print everything, and write it down if nothing was left out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, help="of each kind, in place of the number that is planned")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    printed = []
    for line in lines(arguments):
        print(line, flush=True)
        printed.append(line)
    if arguments.pairs is None:
        TEXT.write_text("\n".join(printed) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
