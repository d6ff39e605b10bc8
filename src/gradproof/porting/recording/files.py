"""Two environments: a port is recorded into a file in one, and compared from files in another without its framework."""

__all__ = ["compare_files", "read_port", "record"]

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.arrays import HostArray, is_array
from gradproof.backend import backend_for
from gradproof.porting.comparing.sides import Side
from gradproof.porting.port import Port, Run
from gradproof.porting.recording import as_npz, as_safetensors
from gradproof.porting.recording.recorded import RecordedPort, RecordedRun, fingerprint
from gradproof.porting.recording.stored import VERSION, pack, unpack
from gradproof.porting.seeds import seed_for
from gradproof.porting.views import views
from gradproof.trees import flatten, leaves_by_path

if TYPE_CHECKING:
    from gradproof.porting.layouts.layout import Layout
    from gradproof.porting.record import PortReport

FORMATS = {".npz": as_npz, ".safetensors": as_safetensors}

PACKAGES = {
    "flax": ("flax", "jax", "jaxlib"),
    "equinox": ("equinox", "jax", "jaxlib"),
    "jax": ("jax", "jaxlib"),
}
"""What a port of a framework ran with, where that is more than the framework."""


def record(
    port: Port,
    inputs: tuple[Any, ...],
    path: str | os.PathLike[str],
    *,
    targets: tuple[Any, ...] = (),
    name: str | None = None,
    nodes: bool = True,
) -> None:
    """Run `port` as a comparison does, in float64 and in its own dtype, and keep the runs in the file `path` (.npz or .safetensors).

    The file holds inputs, parameters, settings of modules, every value and every cotangent on the way; without `nodes`
    no intermediate ones. Where the port has no loss, the cotangent of each output follows from its values (`seed_for`).
    An existing file is replaced once the new one is complete. Nothing is pickled.
    """
    file = Path(path)
    library = _format(file)
    side = _Recording(port.framework, port, _on_host(inputs), _on_host(targets), watched=nodes)
    side.seeds = _seeds(side)
    _ = side.double, side.own, side.redrawn, side.moved, side.in_own_dtype
    recorded = RecordedPort(
        framework=port.framework,
        parameters=port.parameters,
        buffers=port.buffers,
        shared=port.shared,
        modules=port.modules,
        has_loss=port.has_loss,
        differentiates=port.differentiates,
        inputs=side.inputs,
        targets=side.targets,
        seeds=side.seeds,
        runs=tuple(side.kept),
        watched=nodes,
        name=name,
        versions=_versions(port.framework),
    )
    _write(library, file, pack(recorded))


def read_port(path: str | os.PathLike[str]) -> RecordedPort:
    """The port that was recorded into a file. Raises ValueError if it is another file, a damaged one, or of another version."""
    file = Path(path)
    library = _format(file)
    file.open("rb").close()  # a missing file is no foreign one
    try:
        return unpack(library.load(file), str(path))
    except ImportError:
        raise
    except Exception as error:  # of zipfile, numpy and safetensors, which have many for a damaged file
        why = str(error) or type(error).__name__
        raise ValueError(
            f"{path}: due a port that gradproof recorded (version {VERSION}); it cannot be read as one: {why}"
        ) from error


def compare_files(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *more: str | os.PathLike[str],
    reference: str | None = None,
    layout: "Layout | Mapping[str, Layout] | None" = None,
    **options: Any,
) -> "PortReport":
    """`compare` of recorded ports; the first file is the reference, or the one that `reference` names (as path or port).

    The files have to be recorded with the same inputs and targets, in any order of axes: else ValueError.
    """
    from gradproof.porting.compare import compare  # noqa: PLC0415 -- not needed to record

    ports = _named([read_port(path) for path in (a, b, *more)])
    paths = {port.path: name for name, port in ports.items()}
    first = next(iter(ports))
    chosen = first if reference is None else paths.get(str(reference), reference)
    if chosen not in ports:
        raise ValueError(f"reference={reference!r} is none of the ports: {', '.join(ports)}")
    for name, port in ports.items():
        for what in ("inputs", "targets"):
            _same(what, ports[chosen], port, name)
    return compare(
        ports,
        {name: port.inputs for name, port in ports.items()},
        targets={name: port.targets for name, port in ports.items()},
        reference=chosen,
        layout=layout,
        **options,
    )


def _format(file: Path) -> ModuleType:
    if file.suffix.lower() not in FORMATS:
        raise ValueError(f"{file}: due a file named *.npz or *.safetensors")
    return FORMATS[file.suffix.lower()]


def _on_host(tree: tuple[Any, ...]) -> tuple[Any, ...]:
    leaves, structure = flatten(tree)
    return tuple(structure.unflatten([_host(leaf) for leaf in leaves]))


def _host(x: Any) -> Any:
    if not is_array(x):
        return x
    if not isinstance(x, np.ndarray | np.generic):
        x = backend_for(x).to_numpy(x)
    return np.array(x, dtype=np.float32 if x.dtype.name == "bfloat16" else x.dtype)


@dataclass
class _Recording(Side):
    """A port as a comparison runs it: what is asked for is kept."""

    watched: bool = True
    kept: list[RecordedRun] = field(default_factory=list)

    def run(self, **changed: Any) -> Run:
        run = super().run(**{"watched": self.watched, **changed})
        if not changed.get("forward_only"):
            leaves = {**self.port.parameters, **self.port.buffers}
            on = (
                fingerprint(changed.get("inputs", self.inputs)),
                fingerprint(changed.get("parameters", leaves)),
            )
            self.kept.append(RecordedRun(run, changed.get("double", True), *on))
        return run


def _seeds(side: _Recording) -> tuple[HostArray | None, ...] | None:
    """Cotangents of the outputs, as they are in float64."""
    if side.port.has_loss or not side.port.differentiates:
        return None
    return tuple(seed_for(y) for y in side.first.outputs.values())


def _versions(framework: str) -> dict[str, str]:
    from importlib import metadata  # noqa: PLC0415 -- 27 ms that only those pay who record

    found = {"python": platform.python_version()}
    for package in ("gradproof", "numpy", *PACKAGES.get(framework, (framework,))):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write(library: ModuleType, file: Path, arrays: Mapping[str, HostArray]) -> None:
    """Beside the file first: there is never half of it."""
    beside = file.with_name(f".{token_hex(8)}.tmp")
    try:
        library.save(beside, arrays)
        with beside.open("rb+") as written:
            os.fsync(written.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _named(ports: list[RecordedPort]) -> dict[str, RecordedPort]:
    """Ports by the first kind of name that tells them apart."""
    for names in (
        [port.name or port.framework for port in ports],
        [port.name or Path(port.path).stem for port in ports],
        [port.path for port in ports],
    ):
        if len(set(names)) == len(ports):
            return dict(zip(names, ports, strict=True))
    raise ValueError(f"a file is compared with itself: {', '.join(port.path for port in ports)}")


def _same(what: str, first: RecordedPort, port: RecordedPort, name: str) -> None:
    """Raise ValueError unless both were recorded with the same `what`, leaf by leaf."""
    mine, others = (leaves_by_path(getattr(p, what)) for p in (first, port))
    if len(mine) != len(others):
        raise ValueError(
            f"{first.path} has {len(mine)} {what}, {port.path} ({name}) has {len(others)}: record them with the same"
        )
    for (path, x), y in zip(mine.items(), others.values(), strict=True):
        if difference := _difference(x, y):
            raise ValueError(
                f"{what}{path} of {port.path} ({name}) is not that of {first.path}: {difference}; record both with the "
                "same numbers, in any order of axes"
            )


def _difference(x: Any, y: Any) -> str:
    if not (is_array(x) and is_array(y)):
        return "" if type(x) is type(y) and x == y else f"{y!r}, due {x!r}"
    x, y = np.asarray(x), np.asarray(y)
    ways = list(views(y.shape, x.shape))
    if not ways:
        return f"shape {y.shape}, due {x.shape}"
    if any(_equal(view.of(y), x) for view in ways):
        return ""
    if x.shape != y.shape:
        return "other numbers in every order of its axes"
    with np.errstate(invalid="ignore"):
        return f"it differs by up to {np.max(np.abs(np.subtract(y, x, dtype=np.float64)), initial=0.0):.3g}"


def _equal(x: HostArray, y: HostArray) -> bool:
    numbers = x.dtype.kind in "fc" and y.dtype.kind in "fc"
    return np.array_equal(x, y, equal_nan=numbers)
