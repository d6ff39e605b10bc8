"""What a TARGET names: the file or module is imported, and the Problems in it are found."""

__all__ = ["Found", "Loader", "Target", "parse"]

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import ModuleType

from gradproof.problems import Problem


@dataclass(frozen=True, slots=True)
class Found:
    """A Problem, and the target that names it alone: "net.py::ridge"."""

    label: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class Target:
    """A file or a module, and a name in it; None for everything."""

    where: str
    """As it was written: "net.py", "pkg.net"."""
    name: str | None
    file: Path | None
    """None for a module."""

    def label(self, name: str) -> str:
        """The target of something in it."""
        return f"{self.where}{':' if self.file is None else '::'}{name}"

    @property
    def folder(self) -> Path:
        """Where imports and configuration start."""
        return Path.cwd() if self.file is None else self.file.parent


def parse(text: str) -> Target:
    """The Target that `text` names. Raises ValueError for a file that is not there or is no Python file."""
    where, separator, name = text.partition("::")
    if not (separator or where.endswith(".py") or os.sep in where or _is_no_package(Path(where))):
        module, separator, name = text.partition(":")
        if module.endswith(".py"):
            raise ValueError(f"{text}: a name in a file follows two colons: {module}::{name}")
        if not all(part.isidentifier() for part in module.split(".")):
            raise ValueError(f"{text} is no target; due: FILE.py, FILE.py::NAME, module or module:NAME")
        return Target(module, _given(text, separator, name), None)
    file = Path(where)
    if not file.is_file():
        kind = "a folder" if file.is_dir() else "not there"
        raise ValueError(f"{where} is {kind}; due: a Python file, FILE.py or FILE.py::NAME")
    if file.suffix != ".py":
        raise ValueError(f"{where} is no Python file; due: FILE.py or FILE.py::NAME")
    return Target(where, _given(text, separator, name), file.resolve())


def _is_no_package(place: Path) -> bool:
    return place.is_file() or (place.is_dir() and not (place / "__init__.py").is_file())


def _given(text: str, separator: str, name: str) -> str | None:
    if separator and not name:
        raise ValueError(f"{text} ends where a name is due; leave the colons out to check everything in it")
    return name or None


class Loader:
    """Imports targets, each once. Nothing stays in `sys.path`; modules beside one file are not taken for another's."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}
        self._brought: dict[str, Path] = {}
        """Modules that a target imported from its own folder."""

    def load(self, target: Target) -> ModuleType:
        """The module of a target. Raises what it raises, and ValueError for a module that is not there."""
        key = str(target.file or target.where)
        if key not in self._modules:
            with self.beside(target):
                self._modules[key] = _imported(target)
        return self._modules[key]

    @contextmanager
    def beside(self, target: Target) -> Iterator[None]:
        """While it runs, modules in the target's folder can be imported."""
        folder = target.folder
        for name in [name for name, home in self._brought.items() if home != folder]:
            sys.modules.pop(name, None)
            del self._brought[name]
        before, path = set(sys.modules), list(sys.path)
        sys.path.insert(0, str(folder))
        try:
            yield
        finally:
            sys.path[:] = path
            for name in set(sys.modules) - before:
                if name.split(".")[0] not in before and _is_beside(sys.modules[name], name, folder):
                    self._brought[name] = folder


def _is_beside(module: ModuleType, name: str, folder: Path) -> bool:
    """Whether it was found in `folder` itself; a virtual environment below it is none of the target's."""
    place = folder.joinpath(*name.split("."))
    file = getattr(module, "__file__", None)
    return file is not None and Path(file) in (place.with_suffix(".py"), place / "__init__.py")


def _imported(target: Target) -> ModuleType:
    try:
        return _imported_file(target.file) if target.file else _imported_module(target.where)
    except SystemExit as error:
        raise ValueError(
            f"{target.where} ended the program when it was imported (exit code {error.code}): put what runs behind "
            'if __name__ == "__main__"'
        ) from None


def _imported_file(file: Path) -> ModuleType:
    name = _private_name(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look for it there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _imported_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise ValueError(
            f"no module named {error.name!r} (looked in {Path.cwd()} and in what is installed)"
        ) from None


def _private_name(file: Path) -> str:
    """Private name of the module that a file becomes."""
    return f"_gradproof_target_{blake2b(str(file).encode(), digest_size=6).hexdigest()}_{file.stem}"
