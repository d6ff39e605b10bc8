"""What is said when a file, a function or a choice cannot be used: a sentence, or the user's own traceback."""

__all__ = ["told"]

import sysconfig
from pathlib import Path
from traceback import TracebackException
from types import TracebackType

import gradproof

_OURS = Path(gradproof.__file__).resolve().parent
_INSTALLED = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def told(error: BaseException, file: Path | None) -> str:
    """`error`, for a target in `file`: with the traceback from the user's code on, if it was raised there.

    A sentence if the check refused what it got; the whole traceback if nothing of the user's was running.
    """
    theirs = _theirs(error.__traceback__, file)
    if theirs is None and not isinstance(error, SyntaxError):
        if isinstance(error, ValueError | TypeError | OSError):
            return "\n".join([_sentence(error), *getattr(error, "__notes__", ())])
        theirs = error.__traceback__
    shown = TracebackException(type(error), error, theirs)
    return "".join(shown.format()).rstrip()


def _sentence(error: BaseException) -> str:
    """A ValueError of the check speaks for itself; a call that did not work is named."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _theirs(trace: TracebackType | None, file: Path | None) -> TracebackType | None:
    """The traceback from the first frame in `file` on, or else from the first that is not ours and not installed."""
    frames = []
    while trace is not None:
        frames.append((trace, Path(trace.tb_frame.f_code.co_filename)))
        trace = trace.tb_next
    in_file = (frame for frame, place in frames if file is not None and place == file)
    elsewhere = (frame for frame, place in frames if _is_the_users(place))
    return next(in_file, None) or next(elsewhere, None)


def _is_the_users(place: Path) -> bool:
    if not place.is_file() or place.name.startswith("gradproof_"):  # <frozen importlib>; an adapter of ours
        return False
    resolved = place.resolve()
    return _OURS not in resolved.parents and not str(resolved).startswith(_INSTALLED)
