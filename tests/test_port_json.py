"""A PortReport as JSON: all of it comes back, and what is not one is refused."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

import jsonschema
import pytest

import port_reports as made
from gradproof import Reason
from gradproof.porting.record import PortReport
from gradproof.porting.report.schema import SCHEMA, VERSION
from gradproof.porting.report.terminal import render


@pytest.mark.parametrize("kind", made.MADE)
def test_all_of_it_comes_back(kind):
    report = made.MADE[kind]()
    back = PortReport.from_json(report.to_json())
    assert back.to_dict() == report.to_dict()
    assert type(back.compared) is dict
    assert all(type(each.findings) is tuple for each in back.compared.values())
    for verbosity in (0, 1, 2):
        assert render(back, 100, verbosity) == render(report, 100, verbosity)
    assert back.to_html() == report.to_html()


def test_what_comes_back_is_equal():
    assert (
        PortReport.from_json(made.forward().to_json()).compared["flax"].findings
        == made.forward().compared["flax"].findings
    )
    assert (
        PortReport.from_json(made.forward().to_json()).compared["flax"].layout
        == made.forward().compared["flax"].layout
    )


@pytest.mark.parametrize("kind", made.MADE)
def test_it_is_as_its_schema_says(kind):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(made.MADE[kind]().to_json()), SCHEMA)


def test_numbers_that_json_has_none_for_are_spelled():
    text = made.strange().to_json()
    json.loads(text, parse_constant=pytest.fail)
    row = PortReport.from_json(text).compared["flax"].rows[0]
    assert (row.gap, row.scale) == (math.inf, -math.inf)
    assert math.isnan(row.local_gap)


def test_it_is_read_from_a_file_and_from_text(tmp_path):
    text = made.nasty().to_json(tmp_path / "port.json")
    assert (tmp_path / "port.json").read_text(encoding="ascii") == text
    assert PortReport.from_json(tmp_path / "port.json").to_json() == text
    assert PortReport.from_json(str(tmp_path / "port.json")).to_json() == text


def _changed(**more):
    return json.dumps({**made.forward().to_dict(), **more})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (made.forward().to_json()[:-500], "not JSON, or cut off"),
        ("{}", "no report of a comparison of ports"),
        ("[1]", "no report of a comparison of ports"),
        ('{"format": "gradproof report"}', '"format": "gradproof.port"'),
        (_changed(schema=VERSION + 1), "schema 2, this gradproof reads 1"),
        (_changed(verdict="MAYBE"), "report.verdict"),
        (_changed(more=1), "'more', which is not known"),
        (_changed(seed="7"), "report.seed is '7'; due: of type integer"),
        (_changed(reason="WEATHER"), "the reason 'WEATHER', which this gradproof does not know"),
        (_changed(reference="jax"), "no port 'jax'"),
        (made.forward().to_json().replace('"seed": 7', '"seed": NaN'), "NaN is no JSON"),
        ("[" * 100_000, "not JSON, or cut off"),
    ],
)
def test_what_is_no_report_is_refused(text, message):
    with pytest.raises(ValueError, match="(?s)" + message.replace("[", r"\[")):
        PortReport.from_json(text)


def test_a_part_that_is_missing_is_named():
    plain = made.forward().to_dict()
    del plain["compared"]["flax"]["rows"][3]["kind"]
    with pytest.raises(ValueError, match=r"report.compared\['flax'\].rows\[3\] has no 'kind'"):
        PortReport.from_json(json.dumps(plain))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is no text"):
        PortReport.from_json(tmp_path / "x.json")


def _described(hint):
    """The schema of a type; records by name."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return {"anyOf": [{"type": "null"}, _described(next(one for one in inner if one is not NoneType))]}
    if origin is tuple:
        return {"type": "array", "items": _described(inner[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _described(inner[1])}
    plain = {
        float: {"$ref": "#/$defs/number"},
        int: {"type": "integer"},
        str: {"type": "string"},
        bool: {"type": "boolean"},
    }
    return plain.get(hint) or {"$ref": f"#/$defs/{hint.__name__.lower()}"}


def _records(cls, seen):
    """`cls` and every record that its fields hold."""
    seen.setdefault(cls.__name__.lower(), cls)
    for hint in get_type_hints(cls).values():
        pending = [hint]
        while pending:
            one = pending.pop()
            pending += get_args(one)
            if is_dataclass(one) and one.__name__.lower() not in seen:
                _records(one, seen)
            if isinstance(one, type) and issubclass(one, Enum):
                seen[one.__name__.lower()] = one
    return seen


@pytest.mark.parametrize(("name", "cls"), _records(PortReport, {}).items())
def test_the_schema_has_every_field_with_its_type(name, cls):
    written = SCHEMA if cls is PortReport else SCHEMA["$defs"][name]
    if cls is Reason:
        assert written["type"] == "string"
        return
    if issubclass(cls, Enum):
        assert written["enum"] == list(cls.__members__)
        return
    there = {
        field: {k: v for k, v in given.items() if k != "description"}
        for field, given in written["properties"].items()
    }
    if cls is PortReport:
        assert {there.pop("format")["const"], there.pop("schema")["const"]} == {"gradproof.port", 1}
    hints = get_type_hints(cls)
    assert there == {field.name: _described(hints[field.name]) for field in fields(cls)}
    assert set(written["required"]) == set(written["properties"])
    assert all(given["description"] for given in written["properties"].values())
