"""Functions that travel: pickled once, by value where the other side could not import them, unpickled once per process."""

__all__ = ["Shipped", "UnpicklableError", "Work"]

import hashlib
import pickle
import sys
import sysconfig
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from importlib.util import find_spec
from inspect import getclosurevars, isfunction, ismethod
from pathlib import Path
from types import ModuleType
from typing import Any

Work = Callable[[Any], Any]
"""From a block to its result."""

KEPT = 4
"""Functions a worker keeps unpickled: a check sends one, and several may share a cluster."""

THREADS = "use threads, which need no copy: workers=concurrent.futures.ThreadPoolExecutor()"

_unpickled: OrderedDict[str, Work] = OrderedDict()


class UnpicklableError(TypeError):
    """A function, or something it holds, that cannot be sent to another process."""


class Shipped:
    """`work`, called on a block, here or in any process it is pickled to. Where nothing pickles it, nothing is copied.

    Raises UnpicklableError when it is pickled, if that cannot be done.
    """

    def __init__(self, work: Work, parts: Mapping[str, Any], instead: str = THREADS) -> None:
        self._work = work
        self._instead = instead
        self._parts = parts
        """What the user handed over, by name: so that an error can say which of it does not pickle."""

    def __call__(self, block: Any) -> Any:
        """Its result."""
        return self._work(block)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.digest, self.data)

    @cached_property
    def data(self) -> bytes:
        """The pickled function."""
        cloudpickle = _cloudpickle()
        try:
            with _scripts_by_value(self._parts):
                return bytes(cloudpickle.dumps(self._work))
        except Exception as error:
            raise UnpicklableError(_explained(self._parts, error, self._instead)) from error

    @cached_property
    def digest(self) -> str:
        """Of the pickled function."""
        return hashlib.sha256(self.data).hexdigest()


def received(digest: str, read: Callable[[], bytes]) -> Work:
    """The function of this digest, unpickled here at most once; `read` gives its bytes."""
    if digest not in _unpickled:
        _unpickled[digest] = pickle.loads(read())
        while len(_unpickled) > KEPT:
            _unpickled.popitem(last=False)
    _unpickled.move_to_end(digest)
    return _unpickled[digest]


def _received(digest: str, data: bytes) -> Work:
    return received(digest, lambda: data)


def _cloudpickle() -> Any:
    if find_spec("cloudpickle") is None:
        raise ModuleNotFoundError(
            "sending a function to another process needs cloudpickle: pip install 'gradproof[parallel]'"
        )
    import cloudpickle  # noqa: PLC0415 -- of an extra

    return cloudpickle


@contextmanager
def _scripts_by_value(parts: Mapping[str, Any]) -> Iterator[None]:
    """Inside, what comes from single files outside any package is pickled whole: the other side has not got the file."""
    cloudpickle = _cloudpickle()
    scripts = [module for module in _modules_reached(list(parts.values())) if _is_script(module)]
    registered = []
    for module in scripts:
        with suppress(ValueError):  # not importable by name: cloudpickle takes it by value anyway
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _modules_reached(left: list[Any]) -> list[ModuleType]:
    """Modules in which the functions are written, and those that they call."""
    names: set[str] = set()
    seen: set[int] = set()
    while left:
        part = left.pop()
        if id(part) in seen or isinstance(part, ModuleType):
            continue
        seen.add(id(part))
        if isinstance(part, Mapping | tuple | list):
            left += part.values() if isinstance(part, Mapping) else part
        elif isinstance(part, partial):
            left += [part.func, part.args, part.keywords]
        elif ismethod(part):
            left += [part.__self__, part.__func__]
        elif callable(part):
            names |= {str(getattr(x, "__module__", None)) for x in (part, type(part))}
            left += [x for _, x in _held(part) if callable(x)] if isfunction(part) else []
    return [sys.modules[name] for name in sorted(names) if name in sys.modules and name != "__main__"]


def _is_script(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    if file is None or getattr(module, "__package__", None):
        return False
    installed = (sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    return not any(Path(file).is_relative_to(folder) for folder in installed)


def _explained(parts: Mapping[str, Any], error: Exception, instead: str) -> str:
    """Which of the `parts` does not pickle, and what in it."""
    for name, part in parts.items():
        if (why := _unpicklable(part)) is not None:
            held = next((f"; it holds {n!r}" for n, x in _held(part) if _unpicklable(x) is not None), "")
            return (
                f"{name} ({_described(part)}) cannot be sent to other processes: {why}{held}. Make that inside the "
                f"function, or {instead}"
            )
    return f"the work cannot be sent to other processes: {error}"


def _unpicklable(part: Any) -> str | None:
    try:
        with _scripts_by_value({"": part}):
            _cloudpickle().dumps(part)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _held(part: Any) -> Iterator[tuple[str, Any]]:
    """What a function closes over or reads from its module, or an object's attributes."""
    if isfunction(part):
        variables = getclosurevars(part)
        yield from {**variables.nonlocals, **variables.globals}.items()
    elif isinstance(part, Sequence) and not isinstance(part, str):
        yield from ((f"[{i}]", x) for i, x in enumerate(part))
    else:
        yield from vars(part).items() if hasattr(part, "__dict__") else ()


def _described(part: Any) -> str:
    code = getattr(part, "__code__", None)
    if code is not None:
        return f"{part.__qualname__}, {Path(code.co_filename).name}:{code.co_firstlineno}"
    return type(part).__name__
