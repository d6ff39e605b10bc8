"""The door of the command line: the commands and their options, and help without importing anything heavy.

It stands beside the package, for whatever is imported from inside the package imports all of it, and numpy first.
"""

__all__ = ["main", "parser"]

import argparse
from collections.abc import Sequence
from typing import Any

TARGETS = (
    "FILE.py, FILE.py::NAME, module or module:NAME. A file defines fun, params and, where there are any, args and grad (or "
    "value_and_grad, vjp, jvp); or gradproof.Problems under names, in lists, tuples or dicts, or returned by a function "
    "problems(). NAME is one of those names. Without it everything that is found is checked."
)
PORTS = (
    "FILE.py, FILE.py::NAME, module or module:NAME; or two files that gradproof.record wrote (A.npz B.npz). NAME is a "
    "PortProblem, a function that returns one, or a dict of ports beside inputs and, where there are any, targets. Without "
    "NAME everything that is found is compared: PortProblems, and ports beside inputs."
)
EXITS = (
    "Exit code: 0 agrees, 1 disagrees, 2 the command line or a file is wrong, 3 undecided or nothing to check, 4 a source "
    "that was asked for could not be asked; of several targets the worst, in the order 2, 1, 4, 3, 0."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; see `gradproof.cli`."""
    options = parser().parse_args(argv)
    if options.command is None:
        parser().print_help()
        return 2
    from gradproof.cli import run  # noqa: PLC0415 -- help and usage errors do without

    return run(options)


def parser() -> argparse.ArgumentParser:
    """Of the whole command line; `command` in what it reads is the name of one, or None."""
    top = argparse.ArgumentParser(
        prog="gradproof",
        description="Proves or refutes a gradient: hand-written code against finite differences, JAX and PyTorch.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(dest="command", title="commands")
    for add in (_check, _prove, _bench, _port, _diff, _backends, _explain, _demo):
        add(commands)
    return top


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version  # noqa: PLC0415 -- see above

        print(f"gradproof {version('gradproof')}")
        parser.exit()


def _check(commands: Any) -> None:
    check = commands.add_parser(
        "check", help="check the gradients in a file or module", description="Check gradients.",
        epilog=EXITS,
    )  # fmt: skip
    _add_targets(check)
    _add_common(check)
    check.add_argument(
        "--resolution", type=float, metavar="R", help="smallest relative error that has to show"
    )
    check.add_argument(
        "--confidence", type=float, metavar="P", help="of the bound on the whole error (default 0.999)"
    )
    much = check.add_mutually_exclusive_group()
    much.add_argument(
        "--verbose", dest="verbosity", action="store_const", const=2, help="everything that was found"
    )
    much.add_argument(
        "--quiet", dest="verbosity", action="store_const", const=0, help="the answer, and what is wrong"
    )
    check.add_argument(
        "--json", nargs="?", const="-", metavar="FILE",
        help="the reports as JSON, into FILE, or in place of everything else on standard output",
    )  # fmt: skip
    check.add_argument("--html", metavar="FILE", help="the report as a page; several are numbered")
    check.add_argument(
        "--workers", type=_workers, metavar="N",
        help="processes that evaluate slow functions (-1: one per core), or a cluster: dask://HOST:PORT",
    )  # fmt: skip
    check.add_argument(
        "--show-config", action="store_true", help="show every choice and where it comes from; check nothing"
    )


def _prove(commands: Any) -> None:
    prove = commands.add_parser(
        "prove", help="check a gradient, then plant mistakes in it to see that they would be noticed",
        description="Check a gradient, then plant mistakes in it to see which of them the check would notice.",
        epilog=f"{EXITS} A planted mistake that is not caught counts as undecided.",
    )  # fmt: skip
    _add_targets(prove)
    _add_common(prove)
    prove.add_argument(
        "--fault", action="append", metavar="NAME", help="plant this mistake only; may be repeated"
    )
    prove.set_defaults(resolution=None, confidence=None, verbosity=None)


def _bench(commands: Any) -> None:
    bench = commands.add_parser(
        "bench", help="time the function and every source's gradient, once they are known to be equal",
        description="Time the function and every source's gradient, once they are known to be equal.",
        epilog=EXITS,
    )  # fmt: skip
    _add_targets(bench)
    _add_common(bench)
    bench.add_argument(
        "--dtypes", type=_names, default=["float64", "float32"], metavar="NAMES",
        help="with commas (default float64,float32)",
    )  # fmt: skip
    bench.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="the timings as JSON, into FILE or on standard output",
    )
    bench.set_defaults(resolution=None, confidence=None, verbosity=None)


def _port(commands: Any) -> None:
    port = commands.add_parser(
        "port", help="compare one network in several frameworks, layer by layer, forward and backward",
        description="Compare ports: one network in several frameworks, layer by layer, forward and backward.",
        epilog="Exit code: 0 the ports agree, 1 they do not, 2 the command line or a file is wrong, 3 undecided or nothing to "
        "compare, 4 a framework is missing; of several targets the worst, in the order 2, 1, 4, 3, 0.",
    )  # fmt: skip
    port.add_argument("targets", nargs="*", metavar="TARGET", help=PORTS)
    port.add_argument(
        "--reference", metavar="NAME", help="the port that the others are compared with (default: the first)"
    )
    port.add_argument(
        "--layout",
        metavar="FILE",
        help="write where each parameter comes from, as JSON; several are numbered",
    )
    port.add_argument(
        "--no-numeric", dest="numeric", action="store_false",
        help="do not ask finite differences which of two gradients is right",
    )  # fmt: skip
    port.add_argument("--seed", type=_seed, metavar="N", help="of everything that is drawn (default 0)")
    port.add_argument("--no-color", action="store_true", help="no colour, and no other escape sequences")
    much = port.add_mutually_exclusive_group()
    much.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="store_const",
        const=2,
        help="every layer and every parameter",
    )
    much.add_argument(
        "-q",
        "--quiet",
        dest="verbosity",
        action="store_const",
        const=0,
        help="the answer, and what explains it",
    )
    port.add_argument(
        "--json", nargs="?", const="-", metavar="FILE",
        help="the reports as JSON, into FILE, or in place of everything else on standard output",
    )  # fmt: skip
    port.add_argument("--html", metavar="FILE", help="the report as a page; several are numbered")
    port.set_defaults(sources=None, resolution=None, confidence=None, leaf=None)


def _diff(commands: Any) -> None:
    text = "what changed between two reports that `check --json FILE` wrote"
    diff = commands.add_parser(
        "diff",
        help=text,
        description=text.capitalize() + ". Exit code: 0 nothing is worse, 1 something is, 2 usage.",
    )
    diff.add_argument("before", metavar="A.json")
    diff.add_argument("after", metavar="B.json")


def _add_targets(command: argparse.ArgumentParser) -> None:
    command.add_argument("targets", nargs="*", metavar="TARGET", help=TARGETS)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--sources", type=_names, metavar="NAMES",
        help="who is asked: names with commas, like numeric,jax; hand is, wherever there is a claim (default: all)",
    )  # fmt: skip
    command.add_argument(
        "--leaf", action="append", metavar="GLOB",
        help="check these leaves only, like 'layers*.bias', and hold the others fixed; may be repeated",
    )  # fmt: skip
    command.add_argument("--seed", type=_seed, metavar="N", help="of the probes (default 0)")
    command.add_argument("--no-color", action="store_true", help="no colour, and no other escape sequences")


def _backends(commands: Any) -> None:
    text = "frameworks that can be asked: version, dtypes, devices, and why one is missing"
    backends = commands.add_parser("backends", help=text, description=text.capitalize() + ".")
    backends.add_argument("--no-color", action="store_true", help="no colour, and no other escape sequences")


def _explain(commands: Any) -> None:
    text = "what a code like GP101 stands for; without one, all codes"
    explain = commands.add_parser("explain", help=text, description=text.capitalize() + ".")
    explain.add_argument("code", nargs="?", metavar="CODE")


def _demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="check the course network's backprop on handwritten digits, then again with a planted mistake",
        description="Check a hand-written backprop against finite differences, JAX and PyTorch; then plant a mistake.",
    )
    demo.add_argument("--course", action="store_true", help="the course's 3-5-3 table instead of the digits")
    demo.add_argument(
        "--lambda", dest="lam", type=float, metavar="L", help="L2 strength (default 1; course 0)"
    )
    demo.add_argument("--fault", metavar="NAME", help="the mistake to plant; `--fault list` names them all")
    demo.add_argument("--seed", type=int, default=0, help="of the weights and of the probes (default 0)")


def _workers(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdigit() else text


def _names(text: str) -> list[str]:
    if names := [name.strip() for name in text.split(",") if name.strip()]:
        return names
    raise argparse.ArgumentTypeError(f"due: names with commas, like numeric,jax; got {text!r}")


def _seed(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"due: a whole number from 0; got {text!r}")
