"""A recorded port as a header (JSON) and numbered arrays, and back.

Arrays have numbers in place of names: no path is too strange to be kept. Each has its digest in the header, and the
header has one of its own: no changed byte goes unnoticed, whatever the format of the file.
"""

__all__ = ["VERSION", "pack", "unpack"]

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

from gradproof.arrays import HostArray
from gradproof.porting.port import Module, Run, Seen
from gradproof.porting.recording.recorded import RecordedPort, RecordedRun
from gradproof.porting.recording.stored_values import Arrays, Shelf, due, plain, tree, untree

FORMAT = "gradproof port"
VERSION = 1
"""Of the header; a file of another is refused."""

Header = dict[str, Any]


def pack(port: RecordedPort) -> dict[str, HostArray]:
    """Everything in `port` but its path, as arrays by name."""
    shelf = Shelf()
    header: Header = {
        "format": FORMAT,
        "version": VERSION,
        "framework": port.framework,
        "name": port.name,
        "versions": dict(port.versions),
        "has_loss": port.has_loss,
        "differentiates": port.differentiates,
        "watched": port.watched,
        "inputs": tree(port.inputs, shelf),
        "targets": tree(port.targets, shelf),
        "seeds": None if port.seeds is None else [shelf.keep_any(seed) for seed in port.seeds],
        "parameters": shelf.keep_all(port.parameters),
        "buffers": shelf.keep_all(port.buffers),
        "shared": dict(port.shared),
        "modules": {
            path: {"kind": module.kind, "settings": plain(module.settings)}
            for path, module in port.modules.items()
        },
        "runs": [_run(kept, shelf) for kept in port.runs],
    }
    header["arrays"] = shelf.table
    text = json.dumps(header, allow_nan=False).encode()
    return {
        "header": np.frombuffer(text, dtype=np.uint8),
        "digest": np.frombuffer(blake2b(text).digest(), dtype=np.uint8),
        **{str(number): array for number, array in enumerate(shelf.arrays)},
    }


def unpack(arrays: Mapping[str, HostArray], path: str) -> RecordedPort:
    """The port that was packed into `arrays`. Raises ValueError, saying what came and what was due."""
    header = _header(arrays)
    shelf = Arrays({name: array for name, array in arrays.items() if name not in {"header", "digest"}})
    shelf.check(due(header, "arrays", list))
    seeds = due(header, "seeds", list, optional=True)
    return RecordedPort(
        framework=due(header, "framework", str),
        parameters=shelf.get_all(due(header, "parameters", dict)),
        buffers=shelf.get_all(due(header, "buffers", dict)),
        shared=_texts(header, "shared"),
        modules=_modules(due(header, "modules", dict)),
        has_loss=due(header, "has_loss", bool),
        differentiates=due(header, "differentiates", bool),
        watched=due(header, "watched", bool),
        inputs=_tuple(header, "inputs", shelf),
        targets=_tuple(header, "targets", shelf),
        seeds=None if seeds is None else tuple(shelf.get_any(seed) for seed in seeds),
        runs=tuple(_unrun(run, shelf) for run in due(header, "runs", list)),
        name=due(header, "name", str, optional=True),
        versions=_texts(header, "versions"),
        path=path,
    )


def _header(arrays: Mapping[str, HostArray]) -> Header:
    if not {"header", "digest"} <= arrays.keys():
        named = ", ".join(sorted(arrays)[:3]) or "none"
        raise ValueError(f"it has no header; its arrays are {named}")
    text = arrays["header"].tobytes()
    if blake2b(text).digest() != arrays["digest"].tobytes():
        raise ValueError("its header is damaged: it does not have the digest that it was written with")
    header = json.loads(text, parse_constant=_refuse)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("its header is that of another program")
    if header.get("version") != VERSION:
        raise ValueError(f"its version is {header.get('version')}, due {VERSION}: record it again")
    return header


def _refuse(constant: str) -> None:
    raise ValueError(f"its header holds {constant}, which is no JSON")


def _tuple(header: Header, key: str, shelf: Arrays) -> tuple[Any, ...]:
    found = untree(header[key], shelf)
    if not isinstance(found, tuple):
        raise ValueError(f"its header has a {type(found).__name__} for {key!r}, due a tuple")
    return found


def _texts(header: Header, key: str) -> dict[str, str]:
    found = due(header, key, dict)
    return {name: due(found, name, str) for name in found}


def _modules(found: Header) -> dict[str, Module]:
    modules = {}
    for path in found:
        module = due(found, path, dict)
        settings = untree(module["settings"], Arrays({}))
        if not isinstance(settings, dict):
            raise ValueError(f"its header has a {type(settings).__name__} for settings, due a dict")
        modules[path] = Module(due(module, "kind", str), settings)
    return modules


def _run(kept: RecordedRun, shelf: Shelf) -> Header:
    run = kept.run
    return {
        "double": kept.double,
        "on": {"inputs": kept.inputs, "parameters": kept.parameters},
        "outputs": shelf.keep_all(run.outputs),
        "dtypes": dict(run.dtypes),
        "loss": None if run.loss is None else shelf.keep(np.array(run.loss, dtype=np.float64)),
        "nodes": [_node(node, shelf) for node in run.nodes],
        "gradients": None if run.gradients is None else shelf.keep_all(run.gradients),
        "buffers": shelf.keep_all(run.buffers),
    }


def _unrun(found: Header, shelf: Arrays) -> RecordedRun:
    gradients = due(found, "gradients", dict, optional=True)
    loss = shelf.get_any(due(found, "loss", int, optional=True))
    run = Run(
        outputs=shelf.get_all(due(found, "outputs", dict)),
        dtypes=_texts(found, "dtypes"),
        loss=None if loss is None else float(loss),
        nodes=tuple(_unnode(node, shelf) for node in due(found, "nodes", list)),
        gradients=None if gradients is None else shelf.get_all(gradients),
        buffers=shelf.get_all(due(found, "buffers", dict)),
    )
    on = _texts(found, "on")
    return RecordedRun(run, due(found, "double", bool), on["inputs"], on["parameters"])


def _node(node: Seen, shelf: Shelf) -> Header:
    words = {field: getattr(node, field) for field in ("name", "role", "kind", "key", "dtype")}
    return {**words, "value": shelf.keep(node.value), "cotangent": shelf.keep_any(node.cotangent)}


def _unnode(found: Header, shelf: Arrays) -> Seen:
    words = {field: due(found, field, str) for field in ("name", "role", "kind", "key", "dtype")}
    value, cotangent = shelf.get(found["value"]), shelf.get_any(found["cotangent"])
    return Seen(**words, value=value, cotangent=cotangent)
