"""Faults found and false alarms on PyTorch's own operator database.

Every differentiable operator that runs on the CPU, with PyTorch's own gradient as the claim: right claims must not be
refused, corrupted ones must be. The probes of one sample are shared by all claims, as `check` shares them among sources.

    python benchmarks/power.py --dtype float64 --samples 3 --seed 20261122
"""

import argparse
import json
import signal
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from gradproof.backend import load
from gradproof.judging.attribute import Judgement, worst_of
from gradproof.judging.referee import Referee
from gradproof.numeric.sampling import sampler_for
from gradproof.point import Placement, take_point
from gradproof.sources.contracts import ContractBroken
from gradproof.sources.exact import Autodiff
from gradproof.sources.testimony import testify
from gradproof.verdict import Estimate, Verdict

SECONDS_PER_SAMPLE = 60
LARGEST = 4000
"""Parameters and outputs of a sample beyond which it is left out: the point is operators, not size."""


@dataclass
class Case:
    """One operator at one sample."""

    name: str
    params: list[torch.Tensor]
    fun: Any


def cases(dtype: torch.dtype, samples: int, seed: int, only: str) -> Iterator[Case]:
    """All operators with up to `samples` of their samples, drawn with `seed`."""
    for op in op_db:
        name = f"{op.name}{'.' + op.variant_test_name if op.variant_test_name else ''}"
        if only not in name or not op.supports_autograd or dtype not in op.supported_backward_dtypes("cpu"):
            continue
        torch.manual_seed(seed)
        rng = np.random.default_rng([seed, *name.encode()])
        try:
            drawn = list(op.sample_inputs("cpu", dtype, requires_grad=True))
        except Exception as error:
            print(f"# {name}: no samples ({type(error).__name__})", file=sys.stderr)
            continue
        for i in sorted(rng.permutation(len(drawn))[:samples]):
            if case := as_case(f"{name}[{i}]", op, drawn[i], seed):
                yield case


def as_case(name: str, op: Any, sample: Any, seed: int) -> Case | None:
    """The sample as a function of its differentiable inputs; None if it has none, or no real differentiable output."""
    spec = torch.utils._pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
    leaves, tree = spec
    at = [
        i
        for i, x in enumerate(leaves)
        if isinstance(x, torch.Tensor) and x.requires_grad and x.layout == torch.strided
    ]
    constants = [
        x.detach().clone() if isinstance(x, torch.Tensor) and x.layout == torch.strided else x for x in leaves
    ]
    params = [leaves[i].detach().clone() for i in at]
    sizes = [p.numel() for p in params]
    if not params or 0 in sizes or sum(sizes) > LARGEST or any(p.is_complex() for p in params):
        return None

    def fun(tensors: list[torch.Tensor]) -> torch.Tensor:
        torch.manual_seed(seed)
        filled = [
            x.clone() if isinstance(x, torch.Tensor) and x.layout == torch.strided else x for x in constants
        ]
        for i, tensor in zip(at, tensors, strict=True):
            filled[i] = tensor
        filled = [
            x.to(tensors[0].dtype) if isinstance(x, torch.Tensor) and x.dtype == params[0].dtype else x
            for x in filled
        ]
        first, args, kwargs = torch.utils._pytree.tree_unflatten(filled, tree)
        out = op.gradcheck_wrapper(op.get_op(), first, *args, **kwargs)
        if sample.output_process_fn_grad is not None:
            out = sample.output_process_fn_grad(out)
        outputs = (
            [out] if isinstance(out, torch.Tensor) else [o for o in torch.utils._pytree.tree_leaves(out)]
        )
        real = (
            [outputs[k].reshape(-1) for k in wanted(outputs)]
            if kept is None
            else [outputs[k].reshape(-1) for k in kept]
        )
        return torch.cat(real) if len(real) != 1 or real[0].numel() != 1 else real[0].reshape(())

    kept: list[int] | None = None
    try:
        traced = [p.clone().requires_grad_(True) for p in params]
        value = fun(traced)
        kept = last_kept[0]
    except Exception:
        return None
    if value.numel() == 0 or value.numel() > LARGEST or not value.requires_grad:
        return None
    return Case(name, params, fun)


last_kept: list[list[int]] = [[]]


def wanted(outputs: list[Any]) -> list[int]:
    """Which outputs are real, floating and differentiable."""
    last_kept[0] = [
        k for k, o in enumerate(outputs)
        if isinstance(o, torch.Tensor) and o.is_floating_point() and o.requires_grad and o.numel()
    ]  # fmt: skip
    return last_kept[0]


# Corrupted claims


def corruptions(gradient: list[Estimate], rng: np.random.Generator) -> Iterator[tuple[str, list[Estimate]]]:
    """The claim with one mistake each; entries are drawn among the non-zero ones."""
    flat = np.concatenate([leaf.value.ravel() for leaf in gradient])
    nonzero = np.flatnonzero(flat)
    if not len(nonzero):
        return
    i = int(rng.choice(nonzero))

    def entry(value: float) -> list[Estimate]:
        new = flat.copy()
        new[i] = value
        return rebuilt(gradient, new)

    yield "drop", entry(0.0)
    yield "flip", entry(-flat[i])
    others = nonzero[flat[nonzero] != flat[i]]
    if len(others):
        j = int(rng.choice(others))
        swapped = flat.copy()
        swapped[[i, j]] = swapped[[j, i]]
        yield "swap", rebuilt(gradient, swapped)
    for size in (1e-1, 1e-2, 1e-3, 1e-4):
        yield f"one {size:.0e}", entry(flat[i] * (1 + size))
    for size in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11):
        yield f"all {size:.0e}", rebuilt(gradient, flat * (1 + size))


def rebuilt(gradient: list[Estimate], flat: np.ndarray) -> list[Estimate]:
    """`flat` cut into the leaves of `gradient`, with their bars."""
    parts = np.split(flat, np.cumsum([leaf.value.size for leaf in gradient])[:-1])
    return [Estimate(p.reshape(leaf.shape), leaf.bar) for p, leaf in zip(parts, gradient, strict=True)]


# One sample


@dataclass
class Tally:
    """What became of all samples."""

    verdicts: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    evaluations: list[float] = field(default_factory=list)
    check_evaluations: list[int] = field(default_factory=list)
    found: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    by_excess: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    listed: list[str] = field(default_factory=list)

    def list(self, line: str) -> None:
        """Keep a sample worth looking at, and show it at once."""
        self.listed.append(line)
        print(f"# {line}", file=sys.stderr, flush=True)


def verdict_of(referee: Referee, gradient: list[Estimate]) -> Judgement:
    """Verdict of the numeric source on a gradient."""
    return worst_of([Judgement(f.verdict, f.reason, f.detail) for f in referee.judge("torch", gradient)])


def judge(case: Case, tally: Tally, rng: np.random.Generator, *, double: bool, corrupt: bool = True) -> None:
    """The right claim, then every corrupted one, if the right one agreed."""
    backend = load("torch")
    point = take_point(case.params, ())
    fun = case.fun
    sampler = sampler_for(fun, point, backend)
    if not np.isfinite(sampler.value).all():
        tally.verdicts["left out: f not finite"] += 1
        return
    shape = sampler.output_shape
    cotangent = (
        np.asarray(1.0)
        if shape == ()
        else (2.0 * rng.integers(0, 2, shape) - 1) * (1.25 + rng.integers(0, 4, shape) / 4)
    )
    source = Autodiff("torch", fun, Placement(point, backend, double=double))
    try:
        testimony = testify(source, cotangent, rng, 1e-3, twice=True)
    except ContractBroken as broken:
        tally.verdicts["DISAGREES"] += 1
        tally.list(f"{case.name}: {broken}")
        return
    referee = Referee(sampler, None if shape == () else cotangent, rng, 1e-3)
    clean = verdict_of(referee, testimony.gradient)
    tally.verdicts[clean.verdict.name] += 1
    tally.evaluations += [probed.line.evaluations for probed in referee.joint]
    if clean.verdict is not Verdict.AGREES:
        worst = max((f for f in referee.judge("torch", testimony.gradient)), key=lambda f: f.excess)
        tally.reasons[clean.reason.name if clean.reason else ""] += 1
        tally.list(
            f"{case.name}: {clean.verdict.name} {clean.reason.name if clean.reason else ''} gap/scale {worst.gap / (worst.scale or 1):.1e} bar/scale {worst.resolution:.1e}"
        )
        return
    tally.check_evaluations.append(sampler.calls)
    for name, claim in corruptions(testimony.gradient, rng) if corrupt else ():
        verdict = verdict_of(referee, claim).verdict
        tally.found[name][verdict.name] += 1
        looked = [referee._look("torch", claim, probed) for probed in referee.joint]
        excess = max(f.excess for f in looked)
        band = (
            "> 16"
            if excess > 16
            else "1.2 .. 16"
            if excess > 1.2
            else "0.8 .. 1.2"
            if excess > 0.8
            else "< 0.8"
        )
        tally.by_excess[band][verdict.name] += 1


class TookTooLong(Exception):
    """A sample that outlasted its time."""


def _alarm(*_: Any) -> None:
    raise TookTooLong


def run(options: argparse.Namespace) -> Tally:
    """All cases."""
    dtype = getattr(torch, options.dtype)
    tally = Tally()
    signal.signal(signal.SIGALRM, _alarm)
    for count, case in enumerate(cases(dtype, options.samples, options.seed, options.only)):
        rng = np.random.default_rng([options.seed, count])
        signal.alarm(SECONDS_PER_SAMPLE)
        try:
            judge(case, tally, rng, double=options.dtype == "float64", corrupt=not options.right_only)
        except TookTooLong:
            tally.verdicts["left out: too slow"] += 1
        except Exception as error:
            tally.verdicts["left out: raised"] += 1
            tally.list(f"{case.name}: raised {type(error).__name__}: {str(error)[:80]}")
        finally:
            signal.alarm(0)
        if count % 50 == 49:
            print(f"# {count + 1}: {dict(tally.verdicts)}", file=sys.stderr, flush=True)
    return tally


def printed(tally: Tally) -> str:
    """The figures as text."""
    lines = [f"verdicts {dict(tally.verdicts)}  reasons {dict(tally.reasons)}"]
    evals = np.array(tally.evaluations)
    if len(evals):
        lines.append(
            f"evaluations per probe: mean {evals.mean():.1f}, median {np.median(evals):.0f}, 95 % {np.quantile(evals, 0.95):.0f}, max {evals.max():.0f}"
        )
    if tally.check_evaluations:
        lines.append(
            f"evaluations per agreed check: median {np.median(tally.check_evaluations):.0f}, max {max(tally.check_evaluations)}"
        )
    for name, counts in tally.found.items():
        total = sum(counts.values())
        lines.append(
            f"{name:10s} found {counts['DISAGREES'] / total:7.2%}  undecided {counts['UNDECIDED'] / total:6.2%}  of {total}"
        )
    for band, counts in sorted(tally.by_excess.items()):
        total = sum(counts.values())
        lines.append(
            f"gap {band:10s} of the bar: refused {counts['DISAGREES'] / total:7.2%}, undecided {counts['UNDECIDED'] / total:7.2%} of {total}"
        )
    return "\n".join(lines + tally.listed)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--right-only", action="store_true", help="skip the corrupted claims")
    parser.add_argument("--out")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    tally = run(options)
    print(printed(tally))
    if options.out:
        Path(options.out).write_text(
            json.dumps(
                {
                    "options": vars(options),
                    "verdicts": tally.verdicts,
                    "found": tally.found,
                    "by_excess": tally.by_excess,
                    "listed": tally.listed,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
