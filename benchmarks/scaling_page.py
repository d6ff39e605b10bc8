"""The page of `scaling.py`, from its record alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from gradproof.engine import WORTH_SECONDS
from gradproof.engine.pools import PROCESS_SECONDS
from gradproof.numeric.elsewhere import SECONDS_PER_BYTE
from gradproof.progress import CHECK
from page_table import table
from scaling_words import duration, figure, memory
from scaling_worked import LARGE, beyond, cost, ours, worked

Record = dict[str, Any]
Row = dict[str, Any]


def document(record: Record) -> str:
    """The Markdown page."""
    return (
        "\n".join([*_head(record), *_model(record), *worked(record), "", *_measured(record)]).rstrip() + "\n"
    )


def _head(record: Record) -> Iterator[str]:
    yield "# What a check costs, and a hundred thousand of them"
    yield ""
    yield "How long a check takes, how much memory, how far workers speed it up, and what that comes to in a large sweep."
    yield ""
    yield f"On this machine: {record['environment']}. It did other work at the same time: ratios count, absolute times are this machine's"
    yield "unit. One thread; processor time for what one thread does, wall time for workers; medians. Written by `benchmarks/scaling.py` in"
    yield f"{record['minutes']:.0f} minutes; the numbers are in `benchmarks/results/scaling.json`."
    yield ""


def _model(record: Record) -> Iterator[str]:
    known, sweep, agreeing = cost(record, LARGE), record["sweep"], record["structure"][0]
    dask, processes = (_engine(record, name) for name in ("dask://", "processes"))
    sent = record["structure"][-1]
    yield "## The model"
    yield ""
    yield "    one check        T = a + E·(t_f + b·n) + G·t_g                n parameters, t_f and t_g seconds a call"
    yield "    memory           M = m·n                                       beside the caller's own arrays"
    yield "    with P workers   T = s + S(P)·(t_f + b·n + h + 2n·β) + G·t_g   S(P) = A + Σ ⌈rounds/P⌉"
    yield "    a sweep          T = max(N·T₁/C, N·h/k, N·r)                   N checks, C at once, blocks of k = max(1, 0.1 s/T₁), one reader"
    yield ""
    yield f"A check is spread where {CHECK} calls take {duration(WORTH_SECONDS)}, which is t_f ≥ {duration(WORTH_SECONDS / CHECK)}, and t_f ≥ {duration(2 * SECONDS_PER_BYTE)}·n; otherwise P = 1 and s = h = β = 0."
    yield ""
    sizes, calls = ("/".join(f"{row[key]:,}" for row in ours(record)) for key in ("parameters", "calls"))
    rows = [
        ["E", f"calls of f by a right check of ½‖x‖², n = {sizes}; {sweep['calls']:.0f} of the package's own problems, median", calls],
        ["G", "calls of the claim", figure(known.claims)],
        ["a", "seconds, whatever n", duration(known.fixed)],
        ["b", "a parameter in one call: x + t·v", duration(known.each)],
        ["m", "bytes a parameter", figure(known.memory)],
        ["A", "calls that come alone, of " + str(agreeing["calls"]), str(agreeing["alone"])],
        ["s", "two workers start: processes / a dask cluster joined", f"{duration(processes['start'])} / {duration(dask['start'])}"],
        ["h", "a block handed over: process / dask", f"{duration(processes['block'])} / {duration(dask['block'])}"],
        ["β", "a byte of a block", f"{duration(processes['byte'])} / {duration(dask['byte'])}"],
        ["", "bytes a parameter: once to every worker / with every call", f"{sent['work']:.1f} / {sent['block']:.1f}"],
        ["T₁", "a check in a sweep (own problems)", duration(sweep["seconds"])],
        ["r", "the one reader of the results, a check", duration(sweep["unpacked"] + sweep["written"])],
        ["", "bytes of journal / of memory, a check", f"{memory(sweep['line'])} / {memory(sweep['kept'])}"],
    ]  # fmt: skip
    yield from table(["", "measured", "on this machine"], rows)


def _engine(record: Record, name: str) -> Row:
    return next(row for row in record["engines"] if row["engine"] == name)


def _measured(record: Record) -> Iterator[str]:
    yield from _checks(record["checks"])
    yield from _refuted(record["refuted"])
    yield from _engines(record["engines"])
    yield from _spread(record)
    yield from _sweep(record["sweep"], record["large"])


def _checks(rows: list[Row]) -> Iterator[str]:
    yield "## One check"
    yield ""
    yield '½‖x‖² and its gradient x, numeric and hand: nearly all is gradproof\'s own. *Counted*: `sources["numeric"].calls`; the other'
    yield "calls ask whether f keeps its inputs, and how the claim rounds. *Beyond*: outside the function and the claim."
    yield "*Memory*: by which the process grew at most, a parameter; the caller's own array is not in it, but what the allocator keeps is, which"
    yield "counts for little at 10⁷ alone. One direction is climbed on a whole ladder of steps; along others a"
    yield "few steps are enough to accept a right gradient, unless their bars are too wide: then whole ladders are climbed there, too."
    yield ""
    head = [
        "parameters",
        "framework",
        "dtype",
        "calls of f",
        "counted",
        "calls of the claim",
        "beyond, a check",
    ]
    lines = (
        [
            f"{row['parameters']:,}", row["framework"], row["dtype"], str(row["calls"]), str(row["evaluations"]),
            str(row["claims"]), duration(beyond(row)), duration(beyond(row) / row["calls"] / row["parameters"]),
            f"{figure(row['peak'])} bytes" if "peak" in row else "",
        ]
        for row in rows
    )  # fmt: skip
    yield from table([*head, "a call and parameter", "memory"], lines)


def _refuted(rows: list[Row]) -> Iterator[str]:
    yield "## What a refutation costs"
    yield ""
    yield "A wrong claim over the right one: calls of f / processor time. It is confirmed, then located and named, if that is asked for."
    yield ""
    sizes = list(dict.fromkeys(row["parameters"] for row in rows))
    cells = {(row["fault"], row["parameters"], row["diagnosed"]): row for row in rows}
    columns = [(size, diagnosed) for size in sizes for diagnosed in (False, True)]
    head = [
        "claim",
        *(f"n = {size:,}, {'diagnosed' if named else 'refuted only'}" for size, named in columns),
    ]
    faults = dict.fromkeys(row["fault"] for row in rows)
    yield from table(
        head, ([fault, *(_times(cells[fault, *column]) for column in columns)] for fault in faults)
    )


def _times(row: Row) -> str:
    return f"{figure(row['calls'])} / {figure(row['seconds'])}"


def _engines(rows: list[Row]) -> Iterator[str]:
    yield "## Engines"
    yield ""
    yield "Two workers. The last four columns: wall time over that in series; 0.5 is ideal. 4,000 items of 30 µs of work, 200 of 20 ms of sleep,"
    yield "item by item or in blocks of `block_size`. *Start*: until two empty blocks are back; of dask, to join a cluster"
    yield f"that is there; one of two processes on this machine came up in {duration(rows[-1]['cluster'])}. Cores that others use too favour whoever has two."
    yield ""
    kinds = [f"{kind} {way}" for kind in ("short", "long") for way in ("singly", "in blocks")]
    names = [kind.replace("short", "30 µs").replace("long", "20 ms") for kind in kinds]
    lines = (
        [row["engine"], duration(row["start"]), duration(row["block"]), duration(1e6 * row["byte"]),
         *(figure(row[kind]) for kind in kinds)]
        for row in rows
    )  # fmt: skip
    yield from table(["engine", "start", "an empty block", "a MB more", *names], lines)


def _spread(record: Record) -> Iterator[str]:
    right, wrong, _ = record["structure"]
    yield "## A check over workers"
    yield ""
    yield f"Σ sin x, 100 parameters, and a nap: sleep costs no core, so what is left is what waits for something else. A right gradient takes {right['calls']}"
    yield f"calls: {right['alone']} alone, the others in rounds of {_rounds(right)}. One that is wrong in an entry takes {wrong['calls']}: {wrong['alone']} alone,"
    yield f"then rounds of {_rounds(wrong)}. *By rounds*: the speed-up that these allow. σ: the share that is sequential, by"
    yield f"Amdahl's law. Processes include their start; there are more than cores, but for every {duration(PROCESS_SECONDS)} that {CHECK} calls take no more than one:"
    yield f"{_started(record)}."
    yield ""
    counts = list(record["spread"][0]["structure"])
    lines = [["by rounds", "", *_speeds(record["spread"][0]["structure"], counts), ""]]
    lines += [
        [
            kind,
            duration(row["sleep"]),
            *_speeds(row[kind], counts),
            figure(row["share"][kind]) if kind == "threads" else "",
        ]
        for row in record["spread"]
        for kind in ("threads", "processes")
    ]
    yield from table(["speed-up", "a call", *(f"P = {count}" for count in counts), "σ"], lines)


def _started(record: Record) -> str:
    return ", ".join(
        f"{max(2, round(CHECK * row['sleep'] / PROCESS_SECONDS))} where a call takes {duration(row['sleep'])}"
        for row in record["spread"]
    )


def _speeds(known: Mapping[str, float], counts: list[str]) -> list[str]:
    return [f"{known[count]:.2f}" if count in known else "" for count in counts]


def _rounds(row: Row) -> str:
    sizes = row["rounds"]
    return ", ".join(f"{size} ({sizes.count(size)} ×)" for size in sorted(set(sizes), reverse=True))


def _sweep(row: Row, large: Row) -> Iterator[str]:
    added = row["unpacked"] + row["written"]
    yield "## A sweep"
    yield ""
    yield f"The package's own problems, {row['checks']} checks, numeric and hand."
    yield ""
    lines = [
        ["checks a second and core", figure(1 / row["seconds"])],
        ["a check by itself over one in the sweep, processor time", figure(row["checking"] / row["seconds"])],
        ["unpacked / written by the reader, a check / such a line flushed to this disk", f"{duration(row['unpacked'])} / {duration(row['written'])} / {duration(row['flush'])}"],
        ["checks a second that one reader takes", figure(1 / added)],
        ["to read a journal / to go on with one, a check", f"{duration(row['read'])} / {duration(row['resumed'])}"],
        ["to go on with a Problem given as it is, a parameter / with a function that makes one of 10⁶, all", f"{duration(large['resumed'])} / {duration(large['drawn'])}"],
        ["bytes of journal: agrees / agrees with 10⁶ parameters / refuted with 10⁶", f"{figure(row['line'])} / {figure(large['line'])} / {figure(large['refuted'])}"],
        ["bytes of memory, a check that is done", figure(row["kept"])],
        [f"processor time of {3 * row['checks']:,} checks in two processes over that in series, their start included", figure(row["work"])],
        ["their speed-up, which cannot be 2 on two cores that others use too", figure(row["speed-up"])],
    ]  # fmt: skip
    yield from table(["", "on this machine"], lines)
