"""Whether data has the form that a JSON Schema asks for: the few keywords that ours uses, without a dependency."""

__all__ = ["mismatch"]

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda x: x is None,
    "boolean": lambda x: isinstance(x, bool),
    "integer": lambda x: isinstance(x, int) and not isinstance(x, bool),
    "number": lambda x: isinstance(x, int | float) and not isinstance(x, bool),
    "string": lambda x: isinstance(x, str),
    "array": lambda x: isinstance(x, list),
    "object": lambda x: isinstance(x, dict),
}


def mismatch(data: Any, schema: Mapping[str, Any]) -> str | None:
    """The first place where `data` is not as `schema` asks, what came and what was due; None if there is none."""
    return next(_mismatches(data, schema, schema.get("$defs", {}), "report"), None)


def _mismatches(x: Any, schema: Mapping[str, Any], defs: Mapping[str, Any], where: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _mismatches(x, defs[schema["$ref"].rpartition("/")[2]], defs, where)
    elif "anyOf" in schema:
        if all(any(_mismatches(x, choice, defs, where)) for choice in schema["anyOf"]):
            # what was meant, if it is not null: its own words say more
            yield from _mismatches(x, schema["anyOf"][-1], defs, where)
    elif due := _wrong_value(x, schema):
        yield f"{where} is {_short(x)}; due: {due}"
    elif isinstance(x, dict):
        yield from _in_object(x, schema, defs, where)
    elif isinstance(x, list):
        for at, item in enumerate(x):
            yield from _mismatches(item, schema["items"], defs, f"{where}[{at}]")


def _in_object(
    x: Mapping[str, Any], schema: Mapping[str, Any], defs: Mapping[str, Any], where: str
) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    yield from (f"{where} has no {name!r}" for name in schema.get("required", ()) if name not in x)
    for name, value in x.items():
        if name in known:
            yield from _mismatches(value, known[name], defs, f"{where}.{name}")
        elif others is False:
            yield f"{where} has {name!r}, which is not known"
        else:
            yield from _mismatches(value, others, defs, f"{where}[{name!r}]")


def _wrong_value(x: Any, schema: Mapping[str, Any]) -> str:
    """What was due in place of `x`, if that is of another type or value."""
    kind = schema.get("type")
    if kind and not _TYPES[kind](x):
        return f"of type {kind}"
    if "const" in schema and (x != schema["const"] or isinstance(x, bool)):
        return repr(schema["const"])
    if "enum" in schema and x not in schema["enum"]:
        return " or ".join(map(repr, schema["enum"]))
    if "minimum" in schema and x < schema["minimum"]:
        return f"at least {schema['minimum']}"
    if "pattern" in schema and not re.search(schema["pattern"], x):
        return f"text like {schema['pattern']}"
    return ""


def _short(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:60]}…"
