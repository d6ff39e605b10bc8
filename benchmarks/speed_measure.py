"""What `speed.py` measures, a row of its record for every size."""

import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradproof import Verdict, check
from gradproof.arrays import BLOCK
from gradproof.faults import FAULTS, plant
from gradproof.problems import Problem
from gradproof.report import Report
from speed_ground import Budget, Change, Ground, same
from speed_names import APPROX, FAST, NUMDIFFTOOLS, OF_ENTRY, OF_LARGEST, OURS
from speed_peers import PEERS, Peer, Replay, stopped, warmed

Row = dict[str, Any]

WHOLE = 25_000
"""Evaluations up to which a peer's call is measured as a whole; of longer ones PART are, and scaled to all of them."""
PART = 1_500

ERRORS = (1e-2, 1e-3, 1e-5, 1e-6)
WRONG = (
    "sign", "two-percent", "times-m", "constant-added", "one-entry", "column-flipped", "leaf-forgotten", "shifted",
    "no-derivative", "not-regularised",
)  # fmt: skip
"""Ten kinds of mistakes, from `gradproof.faults`."""

CALLS_OF_OURS = 3
"""Timed in a row beside one call of a peer."""


def seconds(run: Callable[[], Any], count: int = 1) -> float:
    """Processor time per call: the clock stands while others have the cores."""
    start = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - start) / count


def seconds_of(peer: Peer, ground: Ground, change: Change = same, evaluations: int | None = None) -> float:
    """One call of a peer; of one that is too long, a part, scaled up in proportion to the evaluations."""
    if evaluations is None or evaluations <= WHOLE:
        return seconds(lambda: peer.accepts(ground, change, Budget(np.inf)))
    return stopped(peer, ground, change, PART).seconds_of_one * evaluations


def summary(ours: list[float], peers: dict[str, list[float]], paired: dict[str, list[float]]) -> Row:
    """Median seconds, and medians of the ratios of every round."""
    return {
        OURS: statistics.median(ours),
        "seconds": {name: statistics.median(times) for name, times in peers.items()},
        "ratio": {name: statistics.median(ratios) for name, ratios in paired.items()},
    }


def right(ground: Ground, rounds: int) -> Row:
    """A right gradient accepted: gradproof beside every peer in turn."""
    chosen = {name: peer for name, peer in PEERS.items() if ground.size <= peer.largest}
    report = ground.check()
    _due(report, Verdict.AGREES)
    for peer in chosen.values():
        warmed(peer, ground)
    ours: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in chosen}
    ratios: dict[str, list[float]] = {name: [] for name in chosen}
    totals = {name: peer.total(ground.size) for name, peer in chosen.items()}
    for _ in range(rounds):
        for name, peer in chosen.items():
            ours.append(seconds(ground.check, CALLS_OF_OURS))
            times[name].append(seconds_of(peer, ground, evaluations=totals[name]))
            ratios[name].append(times[name][-1] / ours[-1])
    return {
        "parameters": ground.size,
        "batch": ground.batch,
        "evaluations": _evaluations(report),
        "evaluation": statistics.median(seconds(lambda: _value(ground), 20) for _ in range(rounds)),
        "rounds": rounds,
        "scaled": [name for name, total in totals.items() if total and total > WHOLE],
        **summary(ours, times, ratios),
    }


def found(ground: Ground, trials: int) -> Row:
    """Of single entries that are off, the share that every checker refuses; and whether it accepts the right gradient.

    The others, of which some are slow, are asked about the first half of the entries.
    """
    replay = Replay(ground)
    names = [n for n in PEERS if ground.size <= PEERS[n].largest and n != APPROX]
    names = [n for n in names if n != NUMDIFFTOOLS or ground.size < WHOLE / 30]
    slow = ground.size > WHOLE
    names = [n for n in names if not slow or PEERS[n].evaluations is None]
    rng = np.random.default_rng(ground.size)
    entries = rng.choice(ground.size, min(trials, ground.size), replace=False)
    shares: dict[str, dict[str, dict[str, float]]] = {}
    for kind in (OF_ENTRY, OF_LARGEST):
        for size in ERRORS:
            changes = [ground.one_off(int(e), size, kind == OF_LARGEST) for e in entries]
            refused = {OURS: [_refuses(ground, c, seed) for seed, c in enumerate(changes)]}
            half = changes[: (len(changes) + 1) // 2]
            refused |= {name: [not replay.accepts(name, c) for c in half] for name in names}
            for name, votes in refused.items():
                shares.setdefault(name, {}).setdefault(kind, {})[f"{size:.0e}"] = sum(votes) / len(votes)
    accepted = {name: replay.accepts(name, same) for name in names}
    accepted[OURS] = all(not _refuses(ground, same, seed) for seed in range(len(entries)))
    return {"parameters": ground.size, "trials": len(entries), "shares": shares, "accepted": accepted}


def _refuses(ground: Ground, change: Change, seed: int) -> bool:
    return ground.check(change, seed=seed, diagnose=False).verdict is Verdict.DISAGREES


def named(ground: Ground, rounds: int) -> Row:
    """One entry 1e-3 off, refused and named; beside it PyTorch's fast mode on an error of that entry that it sees."""
    rng = np.random.default_rng(ground.size)
    entries = [int(e) for e in rng.choice(ground.size, rounds, replace=False)]
    visible = {e: _visible(ground, e) for e in entries}
    ours, theirs, ratios, exact, evaluations = [], [], [], [], []
    for entry in entries:
        change, reports = ground.one_off(entry, 1e-3), []
        ours.append(seconds(lambda change=change, kept=reports: kept.append(ground.check(change))))
        theirs.append(seconds_of(PEERS[FAST], ground, ground.one_off(entry, visible[entry]), 2 * ground.size))
        ratios.append(theirs[-1] / ours[-1])
        exact.append(_named(reports[0], ground, entry))
        evaluations.append(_evaluations(reports[0]))
    return {
        "parameters": ground.size,
        "rounds": rounds,
        "named": sum(exact),
        "evaluations": statistics.median(evaluations),
        "visible": statistics.median(visible.values()),
        **summary(ours, {FAST: theirs}, {FAST: ratios}),
    }


def _visible(ground: Ground, entry: int) -> float:
    """The least power of ten by which the entry has to be off for PyTorch's fast mode to begin the slow one."""
    return next(s for s in 10.0 ** np.arange(-3, 12) if _falls_back(ground, ground.one_off(entry, s)))


def _falls_back(ground: Ground, change: Change) -> bool:
    few = 20  # evaluations: the fast mode makes 10 where it accepts
    return stopped(PEERS[FAST], ground, change, few).count > few


def _named(report: Report, ground: Ground, entry: int) -> bool:
    if len(report.locations) != 1 or report.locations[0].count != 1:
        return False
    place = report.locations[0]
    paths = list(report.leaves)
    before = sum(leaf.size for leaf in ground.gradient[: paths.index(place.leaf)])
    shape = ground.gradient[paths.index(place.leaf)].shape
    return before + int(np.ravel_multi_index(place.entries[0], shape)) == entry


def diagnosed(ground: Ground, rounds: int) -> Iterator[Row]:
    """Verdict, place and diagnosis of a wrong gradient, against the check of the right one."""
    loss, params, args = ground.network.loss, ground.params, ground.args
    truth = Problem(f"network {ground.name}", loss, params, args, grad=ground.network.gradient)
    plain = _evaluations(ground.check())
    for name in WRONG:
        claim = plant(name, truth).grad

        def run(claim: Any = claim) -> Report:
            return check(loss, params, args=args, grad=claim, sources=("numeric", "hand"))

        report = run()
        _due(report, Verdict.DISAGREES)
        pairs = [(seconds(ground.check), seconds(run)) for _ in range(rounds)]
        yield {
            "parameters": ground.size,
            "fault": name,
            "code": report.diagnoses[0].code if report.diagnoses else None,
            "due": list(FAULTS[name].codes),
            "evaluations": _evaluations(report) / plain,
            "time": statistics.median(wrong / good for good, wrong in pairs),
        }


def memory(size: int) -> Row:
    """Peak of a check, in copies of the parameters, the block that is worked on left out."""
    x = np.random.default_rng(0).normal(size=size)

    def of(x: np.ndarray) -> Report:
        return check(_half_square, x, grad=np.copy, sources=("numeric", "hand"))

    of(x[:9])  # what is imported once does not count
    tracemalloc.start()
    report = of(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    _due(report, Verdict.AGREES)
    return {"parameters": size, "peak": (peak - BLOCK * x.itemsize) / x.nbytes}


def _half_square(x: np.ndarray) -> float:
    return 0.5 * float(np.dot(x, x))


def _value(ground: Ground) -> float:
    return ground.network.loss(ground.params, *ground.args)


def _evaluations(report: Report) -> int:
    """Of the function, and of the gradient."""
    return sum(source.calls for source in report.sources.values())


def _due(report: Report, verdict: Verdict) -> None:
    if report.verdict is not verdict:
        raise SystemExit(f"{verdict.name} was due: nothing was timed\n{report}")
