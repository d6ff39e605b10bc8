"""Two sweeps of a hundred thousand checks, worked out from what was measured."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gradproof.engine import block_size
from gradproof.engine.gathering import AHEAD
from gradproof.numeric.elsewhere import SECONDS_PER_BYTE
from page_table import table
from scaling_model import GB, Cost, Farm, bottleneck
from scaling_words import duration, figure, memory

Record = dict[str, Any]

CHECKS = 100_000
FARM = Farm(machines=100, cores=16, memory=128 * GB)
BANDWIDTH = 20 * GB
"""Bytes of parameters that a function reads in a second, on one core."""
CLAIM = 3.0
"""Calls of the function that its gradient takes as long as."""
OWN = 8.0
"""Bytes a parameter of the problem itself: the caller's array of float64, and a function that holds nothing."""
LARGE, SMALL = 10**9, 10**4


class Worked(NamedTuple):
    """One sweep."""

    parameters: int
    seconds: float
    """Of one check."""
    at_once: int
    block: int
    """Checks that are handed over together."""
    total: float
    """Seconds of the sweep, if nothing but its checks took time."""
    rates: Mapping[str, float]
    """Checks a second, by what bounds them."""


def ours(record: Record) -> list[Record]:
    """Checks in NumPy and float64, by number of parameters."""
    return [row for row in record["checks"] if (row["framework"], row["dtype"]) == ("numpy", "float64")]


def cost(record: Record, parameters: int) -> Cost:
    """Of NumPy and float64. Calls are those of the next smaller check that was measured; the time for a parameter is that of the largest."""
    small, large = ours(record)[0], ours(record)[-1]
    calls = [row["calls"] for row in ours(record) if row["parameters"] <= parameters][-1]
    fixed = beyond(small)
    return Cost(
        calls, fixed, (beyond(large) - fixed) / (large["calls"] * large["parameters"]), large["peak"],
        large["claims"],
    )  # fmt: skip


def beyond(row: Mapping[str, Any]) -> float:
    """Seconds of a check outside the function and the claim."""
    return float(row["seconds"] - row["calls"] * row["function"] - row["claims"] * row["claim"])


def work_out(record: Record, parameters: int) -> Worked:
    """A sweep of checks of so many parameters."""
    cost_ = cost(record, parameters)
    function = 8.0 * parameters / BANDWIDTH
    each = cost_.seconds(parameters, function, CLAIM * function)
    at_once, size = FARM.at_once(cost_, parameters, OWN), block_size(each, CHECKS)
    handed = next(row["block"] for row in record["engines"] if row["engine"] == "dask://")
    sweep = record["sweep"]
    rates = {
        "workers": at_once / each,
        "scheduler": size / handed,
        "reader of the journal": 1 / (sweep["unpacked"] + sweep["written"]),
    }
    return Worked(parameters, each, at_once, size, FARM.seconds(CHECKS, cost_, parameters, OWN, each), rates)


def worked(record: Record) -> Iterator[str]:
    """The section."""
    large, small = (work_out(record, parameters) for parameters in (LARGE, SMALL))
    yield f"## {CHECKS:,} checks on {FARM.machines} machines"
    yield ""
    yield f"Assumptions, not measured: {FARM.machines} machines of {FARM.cores} cores and {memory(FARM.memory)}, each core as fast as"
    yield f"this one; f reads its parameters at {memory(BANDWIDTH)}/s and holds no more than they (float64); g takes {CLAIM:g} times as long;"
    yield "cores do not slow one another; gradients are right. The rest is measured above, and extrapolated in n from 10⁷."
    yield ""
    head = ["parameters", *(f"{sweep.parameters:,}" for sweep in (large, small))]
    yield from table(head, _rows(record, large, small))
    yield from _limits(record, large, small)


def _rows(record: Record, *sweeps: Worked) -> Iterator[list[str]]:
    cost_, sweep = cost(record, LARGE), record["sweep"]
    yield ["memory of a check", *(memory((cost_.memory + OWN) * w.parameters) for w in sweeps)]
    yield ["checks at once on a machine", *(str(w.at_once // FARM.machines) for w in sweeps)]
    yield ["one call of f (assumed)", *(duration(8 * w.parameters / BANDWIDTH) for w in sweeps)]
    yield ["one check", *(duration(w.seconds) for w in sweeps)]
    yield ["the checks, spread over all", *(duration(w.total) for w in sweeps)]
    for name in sweeps[0].rates:
        yield [f"checks a second: {name}", *(figure(w.rates[name]) for w in sweeps)]
    yield ["the least of these", *(bottleneck(w.rates) for w in sweeps)]
    yield ["**the sweep**", *(f"**{duration(CHECKS / min(w.rates.values()))}**" for w in sweeps)]
    yield ["journal", *(memory(CHECKS * sweep["line"]) for _ in sweeps)]
    yield [
        "results, in the memory of the process that called",
        *(memory(CHECKS * sweep["kept"]) for _ in sweeps),
    ]
    yield [
        "a block",
        *(f"{w.block} check{'s' * (w.block > 1)}, {duration(w.block * w.seconds)}" for w in sweeps),
    ]
    yield ["blocks on their way", *(f"{AHEAD * w.at_once:,}" for w in sweeps)]
    yield ["to go on with a finished journal", *(duration(CHECKS * sweep["resumed"]) for _ in sweeps)]


def _limits(record: Record, large: Worked, small: Worked) -> Iterator[str]:
    sweep, reader = record["sweep"], record["sweep"]["unpacked"] + record["sweep"]["written"]
    share = cost(record, LARGE).each * BANDWIDTH / 8
    yield "Where the limits are:"
    yield ""
    yield f"- **n = 10⁹: memory, and forming x + t·v.** That takes {figure(share)} times as long as such an f. {large.at_once // FARM.machines} of"
    yield f"  {FARM.cores} cores have memory for a check. A function of ten times the traffic would make the sweep"
    yield f"  {figure(_slower(record, 10))} times as long, not ten times."
    yield f"- **n = 10⁴: the one reader.** A finished check is unpacked in {duration(sweep['unpacked'])} and written in {duration(sweep['written'])}, so more"
    yield f"  than {figure(small.seconds / reader)} cores find it busy. {duration(sweep['flush'])} of that is what this disk, which others use too, takes to have a line for sure."
    yield "  Several sweeps, each with a journal, have several readers."
    yield f"- **Blocks** are of 0.1 s: {small.block} checks for n = 10⁴, one for 10⁹. {AHEAD} for every worker are on their way, whatever the number of"
    yield "  checks, and a block is kept when all of it is done: Ctrl-C or a crash costs no more than those on their way."
    yield from _crash(record["crash"])
    yield from _spreading(record)
    yield f"- **Going on** makes no problem: it reads the journal, {duration(sweep['resumed'])} a check. A Problem that is given as it is"
    yield f"  is read as well, once for all its cases: {duration(record['large']['resumed'] * LARGE)} for 10⁹ parameters."
    yield "- **The first case** is checked in the process that called before anybody else begins, and a second if that took less than 5 s:"
    yield f"  {duration(large.seconds)} for n = 10⁹."
    yield "- **Problems travel whole.** All that `problems` holds goes to every worker: a function that makes a Problem there sends none"
    yield "  of its arrays."


def _crash(row: Mapping[str, Any]) -> Iterator[str]:
    yield "- **A case that takes its process along** becomes its own error. In two processes of one machine the blocks on their way are run"
    yield f"  again, each by itself, to find it: {duration(row['added'])} more for {row['cases']} cases that took {duration(row['alone'])}."


def _spreading(record: Record) -> Iterator[str]:
    """What a call has to take before it is sooner done elsewhere."""
    byte = next(row["byte"] for row in record["engines"] if row["engine"] == "processes")
    yield f"- **One check over workers** sends 2 bytes a parameter with every call: {duration(2 * byte)} a parameter for a process, measured."
    yield f"  A check that has to send for longer than f takes, at {duration(2 * SECONDS_PER_BYTE)} a parameter, stays in the process that called."


def _slower(record: Record, times: float) -> float:
    cost_, function = cost(record, LARGE), 8.0 * LARGE / BANDWIDTH
    one, more = (cost_.seconds(LARGE, f, CLAIM * f) for f in (function, times * function))
    return more / one
