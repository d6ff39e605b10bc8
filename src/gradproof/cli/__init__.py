"""The command line: `gradproof check`, `prove`, `bench`, `port`, `diff`, `backends`, `explain` and `demo`."""

__all__ = ["main", "run"]

import argparse
import sys
from collections.abc import Callable

from _gradproof_cli import main
from gradproof.cli.exits import AGREES, DISAGREES, INTERRUPTED, USAGE


def run(options: argparse.Namespace) -> int:
    """Run a command that was parsed and return the exit code.

    0: agrees. 1: disagrees. 2: the command line, a target or a file is wrong. 3: undecided, or nothing was checked.
    4: a source that was asked for could not be asked. Of several targets the worst counts, in the order 2, 1, 4, 3, 0.
    """
    try:
        return _runner(options.command)(options)
    except ValueError as error:
        print(f"gradproof: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("gradproof: interrupted", file=sys.stderr)
        return INTERRUPTED


def _runner(command: str) -> Callable[[argparse.Namespace], int]:
    """What runs a command; imported when it is needed, so that help stays quick."""
    if command == "check":
        from gradproof.cli.checking import run  # noqa: PLC0415 -- see above
    elif command == "prove":
        from gradproof.cli.proofs import run  # noqa: PLC0415 -- see above
    elif command == "bench":
        from gradproof.cli.timing import run  # noqa: PLC0415 -- see above
    elif command == "port":
        from gradproof.cli.porting import run  # noqa: PLC0415 -- see above
    elif command == "diff":
        from gradproof.cli.differing import run  # noqa: PLC0415 -- see above
    elif command == "backends":
        from gradproof.cli.frameworks import run  # noqa: PLC0415 -- see above
    elif command == "explain":
        from gradproof.cli.explaining import run  # noqa: PLC0415 -- see above
    else:
        return _demo
    return run


def _demo(options: argparse.Namespace) -> int:
    from gradproof.demo import list_faults, run_course, run_digits  # noqa: PLC0415 -- keeps --help quick

    if options.fault == "list":
        return list_faults()
    run = run_course if options.course else run_digits
    return AGREES if run(options.lam, options.fault, options.seed) else DISAGREES
