"""`gradproof backends`: what every framework that is registered can do here."""

__all__ = ["run"]

import argparse
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from gradproof.arrays import dtype_name, namespace
from gradproof.backend import Backend, installed, load, names
from gradproof.cli.exits import AGREES
from gradproof.cli.running import console_for
from gradproof.point import UNIT_ROUNDOFF
from gradproof.report.words import Pen

HEADERS = ("backend", "version", "gradients", "dtypes", "float64", "devices")
MOST_DEVICES = 4

NO_PLACES = ("None", "meta")
"""Listed by a framework as devices; no array with values is there."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is shown of one framework; `missing` says why nothing else is known."""

    name: str
    version: str = ""
    differentiates: bool = False
    dtypes: tuple[str, ...] = ()
    """In which it holds parameters, once its switch for float64 is on."""
    double: str = ""
    devices: tuple[str, ...] = ()
    missing: str = ""


def run(options: argparse.Namespace) -> int:
    """Print a row for every registered backend, and why one cannot be used."""
    console = console_for(options)
    pen = Pen(console.encoding)
    found = [facts(name) for name in names()]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in HEADERS:
        table.add_column(header, overflow="fold", no_wrap=header in HEADERS[:3])
    for each in found:
        if not each.missing:
            row = (each.name, each.version, "yes" if each.differentiates else "no", _listed(each.dtypes))
            table.add_row(*map(pen.text, (*row, each.double, _listed(each.devices[:MOST_DEVICES]))))
    console.print(table)
    for each in found:
        if each.missing:
            console.print(pen.text(f"{each.name}: {each.missing}", "yellow"))
    return AGREES


def facts(name: str) -> Facts:
    """What backend `name` can do here. Imports its framework."""
    if not installed(name):
        return Facts(name, missing=f"not installed; pip install {name}")
    try:
        backend = load(name)
        version = str(getattr(sys.modules.get(name), "__version__", "unknown"))
        return Facts(
            name, version, backend.differentiates, _dtypes(backend), _double(backend), _devices(backend)
        )
    except Exception as error:  # a broken framework is shown beside those that work
        return Facts(name, missing=f"installed, and cannot be used: {type(error).__name__}: {error}")


def _dtypes(backend: Backend) -> tuple[str, ...]:
    return tuple(dtype for dtype in UNIT_ROUNDOFF if _holds(backend, dtype, backend.double_precision))


def _holds(backend: Backend, dtype: str, context: Callable[[], AbstractContextManager[Any]]) -> bool:
    try:
        with context():
            return dtype_name(backend.from_numpy(np.zeros(1), dtype=dtype)) == dtype
    except Exception:  # how a framework refuses a dtype is its own affair
        return False


def _double(backend: Backend) -> str:
    """Whether float64 is there as the program stands; a check switches it on where it is not."""
    if _holds(backend, "float64", nullcontext):
        return "on"
    return "off; on during checks" if _holds(backend, "float64", backend.double_precision) else "none"


def _devices(backend: Backend) -> tuple[str, ...]:
    x = backend.from_numpy(np.zeros(1), dtype="float32")
    with warnings.catch_warnings(action="ignore"):  # some warn of device types that they list themselves
        devices = namespace(x).__array_namespace_info__().devices()
    return tuple(dict.fromkeys(str(device) for device in devices if str(device) not in NO_PLACES))


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)
