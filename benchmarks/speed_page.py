"""The page of `speed.py`, from its record alone."""

from collections.abc import Callable, Iterator, Mapping

from page_table import table
from speed_names import ALL, FAST, OF_ENTRY, OURS
from speed_targets import Record, Row, number, targets


def duration(seconds: float) -> str:
    """In milliseconds, or seconds."""
    return f"{number(1e3 * seconds)} ms" if seconds < 1 else f"{number(seconds)} s"


def _right(rows: list[Row]) -> Iterator[str]:
    yield "## A right gradient accepted"
    yield ""
    yield "Seconds of gradproof, then the peer's time over it: above 1 gradproof is the faster. *: a part of the peer's"
    yield "evaluations was timed, and scaled to all of them; such a figure leaves the peer's own preparations out."
    yield ""
    head = ["parameters", "batch", "evaluation", "gradproof", "evaluations", "rounds", *ALL]
    yield from table(head, (_right_row(row) for row in rows))


def _right_row(row: Row) -> list[str]:
    peers = [
        f"{number(row['ratio'][name])}{'*' if name in row['scaled'] else ''}" if name in row["ratio"] else ""
        for name in ALL
    ]
    own = [
        f"{row['parameters']:,}",
        str(row["batch"]),
        duration(row["evaluation"]),
        duration(row[OURS]),
    ]
    return [*own, str(row["evaluations"]), str(row["rounds"]), *peers]


def _found(rows: list[Row]) -> Iterator[str]:
    yield "## One entry off: who notices"
    yield ""
    yield "Share of the drawn entries that a checker refuses when one alone is off by so much of itself / of the largest"
    yield "entry of the gradient, and whether it accepts the right gradient: gradproof with a new seed for every entry. What"
    yield "returns a number accepts below a bound: the loop 1e-9, relative, as the course asks; SciPy 1e-5 · max(1, ‖gradient‖);"
    yield "numdifftools NumPy's `allclose`. JAX and autograd are given the gradient by hand here, in reverse mode. What takes every"
    yield "entry is left out where that takes minutes."
    yield ""
    for row in rows:
        yield f"### {row['parameters']:,} parameters, {row['trials']} entries, the first half for the others"
        yield ""
        sizes = list(next(iter(row["shares"].values()))[OF_ENTRY])
        lines = (
            [name, "yes" if row["accepted"][name] else "no", *(_shares(kinds, size) for size in sizes)]
            for name, kinds in row["shares"].items()
        )
        yield from table(["checker", "right accepted", *sizes], lines)


def _shares(kinds: Mapping[str, Mapping[str, float]], size: str) -> str:
    return " / ".join(f"{kind[size]:.0%}" for kind in kinds.values())


def _named(rows: list[Row]) -> Iterator[str]:
    yield "## A wrong entry named"
    yield ""
    yield "One entry 1e-3 off; each round another one. PyTorch's fast mode does not see that: it is given the same entry,"
    yield "off by the least power of ten at which it refuses (median of the rounds), and then runs its slow mode."
    yield ""
    head = ["parameters", "gradproof", "evaluations", "named", FAST, "seen from", "torch ÷ gradproof"]
    lines = (
        [
            f"{row['parameters']:,}", duration(row[OURS]), number(row["evaluations"]),
            f"{row['named']} of {row['rounds']}", duration(row["seconds"][FAST]), f"{row['visible']:.0e}",
            number(row["ratio"][FAST]),
        ]
        for row in rows
    )  # fmt: skip
    yield from table(head, lines)


def _diagnosed(rows: list[Row]) -> Iterator[str]:
    yield "## Verdict, place and diagnosis"
    yield ""
    yield "A wrong gradient over the right one, time / evaluations of function and gradient, by kind of mistake."
    yield ""
    sizes = list(dict.fromkeys(row["parameters"] for row in rows))
    cells = {(row["fault"], row["parameters"]): row for row in rows}
    faults = dict.fromkeys(row["fault"] for row in rows)
    yield from table(
        ["mistake", *(f"{size:,}" for size in sizes)],
        ([fault, *(_times(cells.get((fault, size))) for size in sizes)] for fault in faults),
    )


def _times(row: Row | None) -> str:
    return "" if row is None else f"{number(row['time'])} / {number(row['evaluations'])}"


def _whole(rows: list[Row]) -> Iterator[str]:
    yield "## Every entry of the gradient by differences"
    yield ""
    yield "Step 1e-4, one after the other in the loop. The loop's time over that of the others; in parentheses the largest"
    yield "difference from the loop's gradient in parts of its largest entry. *Structured* and *batched*: `numeric.gradient` of"
    yield "that method, whole calls, compilation by JAX included. *By hand*: the same batches written out for this network."
    yield ""
    ways = list(dict.fromkeys(name for row in rows for name in row["ratio"]))
    lines = ([f"{r['parameters']:,}", duration(r["loop"]), *(_way(r, name) for name in ways)] for r in rows)
    yield from table(["parameters", "loop", *ways], lines)


def _way(row: Row, name: str) -> str:
    return f"{number(row['ratio'][name])} ({row['difference'][name]:.0e})" if name in row["ratio"] else ""


def _memory(rows: list[Row]) -> Iterator[str]:
    yield "## Memory"
    yield ""
    yield "Peak of a check of ½‖x‖², in copies of the parameters, one block of 2¹⁶ numbers left out."
    yield ""
    yield from table(["parameters", "peak"], ([f"{r['parameters']:,}", number(r["peak"])] for r in rows))


def _threads(rows: list[Row]) -> Iterator[str]:
    yield "## Threads"
    yield ""
    yield "Wall time of a check with the threads that BLAS takes by itself over that with one; processes by turns."
    yield ""
    yield from table(
        ["parameters", "one thread", "default ÷ one"],
        ([f"{r['parameters']:,}", duration(r["one"]), number(r["default"] / r["one"])] for r in rows),
    )


SECTIONS: dict[str, Callable[[list[Row]], Iterator[str]]] = {
    "right": _right,
    "found": _found,
    "named": _named,
    "diagnosed": _diagnosed,
    "whole": _whole,
    "memory": _memory,
    "threads": _threads,
}
"""By their names in the record."""


def document(record: Record) -> str:
    """The Markdown page."""
    lines = [
        "# Time of a check",
        "",
        "A network of sigmoid units with sigmoid cross-entropy and an L2 penalty (3-5-3, 20-25-10, 64-32-10, 400-25-10,",
        "784-128-10), float64; its gradient by hand is checked by gradproof with function values alone, and by other",
        "checkers at their defaults. JAX checks its own derivative, compiled beforehand, and autograd, at first order, its own.",
        "",
        "One thread; processor time; medians of ratios of interleaved rounds: each call of a peer follows calls of gradproof.",
        f"{record['environment']}. Written by `benchmarks/speed.py` in {record['minutes']:.0f} minutes; the numbers are in",
        "`benchmarks/results/speed.json`.",
        "",
        *("- " + line for line in targets(record)),
        "",
    ]
    for name, section in SECTIONS.items():
        lines += section(record[name]) if name in record else ()
    return "\n".join(lines).rstrip() + "\n"
