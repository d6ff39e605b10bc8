"""The command line: `gradproof demo`."""

__all__ = ["main"]

import argparse
import sys
from collections.abc import Sequence

from gradproof import __version__

AGREES, DISAGREES, USAGE = 0, 1, 2
"""Exit codes: everything came out as it should; it did not; the command line was wrong."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(argv)
    if options.command is None:
        _parser().print_help()
        return USAGE
    try:
        return int(options.run(options))
    except ValueError as error:
        print(f"gradproof: {error}", file=sys.stderr)
        return USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradproof",
        description="Proves or refutes a gradient: hand-written code against finite differences, JAX and PyTorch.",
    )
    parser.add_argument("--version", action="version", version=f"gradproof {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands")
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
    demo.set_defaults(run=_demo)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from gradproof.demo import list_faults, run_course, run_digits  # noqa: PLC0415 -- keeps --help quick

    if options.fault == "list":
        return list_faults()
    run = run_course if options.course else run_digits
    return AGREES if run(options.lam, options.fault, options.seed) else DISAGREES


if __name__ == "__main__":
    raise SystemExit(main())
