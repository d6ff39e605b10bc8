"""Records as plain data and as JSON text, and back from text."""

__all__ = ["admit", "parsed", "plain", "text_of", "written"]

import json
import math
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from gradproof.report.schema_check import mismatch


def plain(x: Any) -> Any:
    """A record, or what is in one: members of an Enum by name, numbers that JSON has none for as words."""
    if isinstance(x, float | np.generic):
        return _number(x)
    if isinstance(x, Enum):
        return x.name
    if isinstance(x, Mapping):
        return {str(key): plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [plain(value) for value in x]
    if is_dataclass(x):
        return {f.name: plain(getattr(x, f.name)) for f in fields(x)}
    return x


def _number(x: Any) -> Any:
    """A number as Python has it; in words where JSON has none."""
    x = x.item() if isinstance(x, np.generic) else x
    if not isinstance(x, float) or math.isfinite(x):
        return x
    if math.isnan(x):
        return "NaN"
    return "Infinity" if x > 0 else "-Infinity"


def written(parts: Mapping[str, Any]) -> str:
    """JSON, a line for each part; in ASCII, so that no reader can mistake its encoding."""
    lines = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in parts.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def text_of(source: str | os.PathLike[str]) -> tuple[str, str]:
    """A text that begins with a brace, or that in the file of that name; and what to call it."""
    if isinstance(source, str) and source.lstrip()[:1] in ("{", "["):
        return source, "the text"
    try:
        with open(source, encoding="utf-8") as file:
            return file.read(), os.fspath(source)
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(source)} is no text: {error}") from None


def parsed(text: str, name: str) -> Any:
    """The data in a text. Raises ValueError for what is no JSON, or cut off."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON, or cut off: {error}") from None


def admit(data: Any, what: str, due: tuple[str, int], schema: Mapping[str, Any]) -> None:
    """Raise ValueError for data that is not `what`, of the format and version `due`, as its schema describes it."""
    if not isinstance(data, dict) or data.get("format") != due[0]:
        raise ValueError(f'this is no {what}: due is an object with "format": "{due[0]}"')
    if data.get("schema") != due[1]:
        raise ValueError(
            f"the report has schema {data.get('schema')!r}, this gradproof reads {due[1]}: "
            "read it with the version that wrote it"
        )
    if wrong := mismatch(data, schema):
        raise ValueError(f"not a whole {what}: {wrong}")
