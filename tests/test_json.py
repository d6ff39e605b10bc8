"""A Report as JSON: all of it comes back, and what is not one is refused. And what changed between two."""

import copy
import json
import math
import re
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from gradproof import Reason, Report, Verdict, check
from gradproof.check import check_problem
from gradproof.course import course_problem
from gradproof.faults import plant
from gradproof.report import Gradients, ProbeSummary, SourceResult
from gradproof.report.difference import diff
from gradproof.report.schema import SCHEMA, VERSION
from gradproof.report.schema_arrays import MOST_NUMBERS, Leaves
from gradproof.report.schema_check import mismatch
from gradproof.report.terminal import render
from gradproof.trees import leaves_by_path
from gradproof.verdict import Diagnosis, Finding, Location

SOURCES = ["numeric", "hand"]
NASTY = (
    "<script>alert(1)</script>",
    "</style>",
    "{{7*7}}",
    "{% raw %}",
    "\"'\\",
    "a\u2028b",
    "\u202egnp",
    "\ud800",
    "&lt;",
)
"""Names that break out of HTML, JSON, JavaScript, a template, a line, or UTF-8."""


def course(fault=None, sources=SOURCES):
    problem = course_problem(1.0)
    return check_problem(plant(fault, problem) if fault else problem, sources=sources)


def nasty():
    params = {name: np.arange(1.0, 4.0) for name in NASTY}
    return check(
        lambda p: sum((x**3).sum() for x in p.values()),
        params,
        grad=lambda p: {name: (3 + (i % 2)) * x**2 for i, (name, x) in enumerate(p.items())},
        sources=SOURCES,
    )


def strange():
    """Every number that JSON has none for, in every place that holds one."""
    nan, inf = math.nan, math.inf
    found = Finding("gradient", ("hand", "jax"), "w", Verdict.DISAGREES, Reason.NOT_FINITE, "", inf, nan, -inf, (0,),
                    {"hand": nan, "jax": -inf})  # fmt: skip
    place = Location("hand", "w", "entries", "", nan, None, ((0,),), (inf,), (nan,), inf, -inf)
    return Report(
        Verdict.DISAGREES, Reason.NOT_FINITE, "", "hand",
        {name: SourceResult(name, Verdict.DISAGREES, seconds=nan) for name in ("hand", "jax")}, None, (found,),
        Gradients({"hand": {"w": np.array([nan, inf, 1.0])}, "jax": {"w": np.array([-inf, 0.0, -0.0])}}),
        None, {"w": ((3,), "float64")}, nan, -3, nearest_kink=inf, locations=(place,),
        diagnoses=(Diagnosis("GP118", "hand", ("w",), "", "", nan, inf),),
        probes=(ProbeSummary("w #1", "w", (1.0, nan), (inf, -inf), nan, inf, {"hand": nan}, True, Reason.JUMP),),
    )  # fmt: skip


def large(leaves=10, side=1000):
    """`leaves` × `side`² parameters in two sources; in every second leaf a column is 1 % too large."""
    right = {f"layer_{i}": np.full((side, side), 1.0 + i) for i in range(leaves)}
    hand, column = dict(right), min(77, side - 1)
    wrong = [name for i, name in enumerate(right) if i % 2]
    for name in wrong:
        hand[name] = right[name].copy()
        hand[name][:, column] *= 1.01
    findings = [
        Finding("gradient", ("hand", "jax"), name, Verdict.DISAGREES if name in wrong else Verdict.AGREES,
                Reason.DIFFERS if name in wrong else None, gap=0.01 * at if name in wrong else 0.0, bar=1e-12, scale=1e3,
                worst=(0, column), values={"hand": float(hand[name][0, column]), "jax": float(right[name][0, column])})
        for at, name in enumerate(right)
    ]  # fmt: skip
    places = [
        Location("hand", name, "slice", f"column {column}", 1 / side, side, ((0, column), (1, column)), (0.01, 0.01),
                 (1e-12, 1e-12))
        for name in wrong
    ]  # fmt: skip
    return Report(
        Verdict.DISAGREES, Reason.DIFFERS, "", "hand",
        {"hand": SourceResult("hand", Verdict.DISAGREES, Reason.DIFFERS, calls=2),
         "jax": SourceResult("jax", Verdict.AGREES, calls=1)},
        "hand", tuple(findings), Gradients({"hand": hand, "jax": right}), None,
        dict.fromkeys(right, ((side, side), "float64")), 1e-3, 0, locations=tuple(places),
    )  # fmt: skip


def raw():
    """Names that are not even quoted, of leaves, of a source, and in what was said."""
    report, every = large(len(NASTY), 2), "".join(NASTY)
    names = dict(zip(report.leaves, NASTY, strict=True))
    return replace(
        report, detail=every,
        leaves={names[path]: kind for path, kind in report.leaves.items()},
        findings=tuple(replace(f, leaf=names[f.leaf], detail=every) for f in report.findings),
        locations=tuple(replace(p, leaf=names[p.leaf], where=every) for p in report.locations),
        sources={**report.sources, every: SourceResult(every, Verdict.UNSUPPORTED, Reason.CANNOT_RUN, every)},
        diagnoses=(Diagnosis("GP101", "hand", (NASTY[1],), every, every, 2.0, 0.0, every),),
        gradients=Gradients({
            name: Leaves({names[path]: leaf for path, leaf in leaves.items()}) for name, leaves in report.gradients.items()
        }),
    )  # fmt: skip


MADE = {
    "right": course,
    "one entry": lambda: course("entry-flipped"),
    "every leaf": lambda: course("sign"),
    "another source": lambda: course("column-doubled", [*SOURCES, "torch"]),
    "not finite": lambda: course("nan"),
    "a broken contract": lambda: course("accumulates"),
    "at a kink": lambda: check(
        lambda x: np.abs(x).sum(), np.zeros(3), grad=lambda x: x + 3.0, sources=SOURCES
    ),
    "outside the domain": lambda: check(
        lambda x: x.sum() * np.inf, np.ones(2), grad=lambda x: x, sources=SOURCES
    ),
    "of a scalar": lambda: check(lambda x: x**2, np.array(2.0), grad=lambda x: 3 * x, sources=SOURCES),
    "of an array": lambda: check(np.sin, np.ones(3), vjp=lambda w, x: w * np.cos(x) * 1.1, sources=SOURCES),
    "alone": lambda: check(lambda x: (x * x).sum(), np.ones(3), sources=["numeric"]),
    "nasty names": nasty,
    "raw names": raw,
    "strange numbers": strange,
    "ten million": large,
}


@pytest.fixture(scope="module")
def reports():
    made = {}

    def report(kind):
        if kind not in made:
            made[kind] = MADE[kind]()
        return made[kind]

    return report


@pytest.fixture(scope="module")
def texts(reports):
    written = {}

    def text(kind):
        if kind not in written:
            written[kind] = reports(kind).to_json()
        return written[kind]

    return text


# There and back


@pytest.mark.parametrize("kind", MADE)
def test_every_view_of_what_was_read_back_is_the_same(kind, reports, texts):
    report, back = reports(kind), Report.from_json(texts(kind))
    for verbosity in (0, 1, 2):
        assert render(back, 100, verbosity) == render(report, 100, verbosity)
    assert back._repr_html_() == report._repr_html_()
    assert back.to_json() == texts(kind)


@pytest.mark.parametrize("kind", MADE)
def test_every_report_keeps_to_the_schema(kind, texts):
    data = json.loads(texts(kind), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    assert mismatch(data, SCHEMA) is None


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind != "strange numbers"])
def test_the_records_come_back(kind, reports, texts):
    report, back = reports(kind), Report.from_json(texts(kind))
    for name in ("verdict", "reason", "detail", "claim", "odd_one_out", "certificate", "resolution", "seed",
                 "nearest_kink", "leaves", "undiagnosed"):  # fmt: skip
        assert getattr(back, name) == getattr(report, name)
    assert dict(back.sources) == dict(report.sources)
    for name in ("findings", "locations", "diagnoses"):  # repr: NaN is not equal to itself
        assert repr(getattr(back, name)) == repr(getattr(report, name))


def test_numbers_that_json_has_not_come_back(reports, texts):
    report, back = reports("strange numbers"), Report.from_json(texts("strange numbers"))
    for name in (
        "findings",
        "locations",
        "diagnoses",
        "probes",
        "resolution",
        "nearest_kink",
        "sources",
        "gradients",
    ):
        assert repr(getattr(back, name)) == repr(getattr(report, name))
    assert '"NaN"' in texts("strange numbers")
    assert '"-Infinity"' in texts("strange numbers")


def test_the_dictionary_is_what_json_holds(reports, texts):
    assert reports("one entry").to_dict() == json.loads(texts("one entry"))


def test_gradients_come_back_by_path_and_exactly(reports, texts):
    back = Report.from_json(texts("one entry")).gradients["hand"]
    whole = leaves_by_path(reports("one entry").gradients["hand"])
    assert {path: leaf.tolist() for path, leaf in back.items()} == {
        p: leaf.tolist() for p, leaf in whole.items()
    }
    assert leaves_by_path(back).keys() == whole.keys()


def test_a_bare_array_comes_back_bare(reports, texts):
    back = Report.from_json(texts("at a kink")).gradients["hand"]
    assert back.tolist() == reports("at a kink").gradients["hand"].tolist()


def test_a_file_is_written_and_read(tmp_path, reports, texts):
    path = tmp_path / "report.json"
    assert reports("nasty names").to_json(path) == texts("nasty names") == path.read_text(encoding="ascii")
    assert Report.from_json(path).to_json() == Report.from_json(str(path)).to_json() == texts("nasty names")


def test_a_probe_keeps_its_slopes_and_every_claim(reports, texts):
    report = reports("one entry")
    for probed, kept in zip(report.probes, Report.from_json(texts("one entry")).probes, strict=True):
        ladder = probed.slope.ladder
        assert kept.steps == tuple(ladder.steps)
        assert kept.slopes == tuple((ladder.plus - ladder.minus)[:, 0] / 2 / ladder.steps)
        assert (kept.value, kept.bar, kept.leaf) == (probed.slope.value[0], probed.slope.bar[0], probed.leaf)
        along = zip(probed.probe, leaves_by_path(report.gradients["hand"]).values(), strict=True)
        assert kept.claims["hand"] == pytest.approx(sum(float((v * g).sum()) for v, g in along), rel=1e-12)
    names = [probe.name for probe in Report.from_json(texts("one entry")).probes]
    assert names[:3] == ["all leaves #1", "all leaves #2", "all leaves #3"]
    assert len(set(names)) == len(names)


# A large one


def test_of_a_large_problem_the_entries_are_kept_that_matter(reports, texts):
    text = texts("ten million")
    data = json.loads(text)
    assert not data["gradients"]["complete"]
    assert (
        sum(len(leaf["values"]) for leaves in data["gradients"]["sources"].values() for leaf in leaves)
        < 2 * MOST_NUMBERS
    )
    hand, jax = (Report.from_json(text).gradients[name]["layer_9"] for name in ("hand", "jax"))
    assert (hand[0, 77], jax[0, 77]) == (10.1, 10.0)
    blocks = {(i // 1000 // 16, i % 1000 // 16) for i in hand.indices.tolist()}
    assert len(blocks) == 63 * 63
    assert sum(hand.values != jax.values) >= 63
    assert hand.shape == (1000, 1000)


def test_an_entry_that_was_not_kept_is_not_made_up(texts):
    hand = Report.from_json(texts("ten million")).gradients["hand"]["layer_0"]
    assert repr(hand) == "Part(shape=(1000, 1000), 1 of 1000000 entries)"
    with pytest.raises(KeyError, match="the JSON holds 1 of 1000000 entries"):
        hand[0, 0]
    with pytest.raises(ValueError, match="only 1 of 1000000 entries were kept"):
        np.asarray(hand)


# The schema


def objects(schema):
    """Every part of a schema."""
    if isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_the_schema_is_one_and_describes_every_field():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    fields = [part for part in objects(SCHEMA) if "properties" in part and "type" in part]
    assert len(fields) >= 9
    for part in fields:
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
        assert all(field.get("description") or "$ref" in field for field in part["properties"].values())


def test_the_schema_names_every_verdict_and_has_room_for_every_reason():
    assert SCHEMA["$defs"]["verdict"]["enum"] == [verdict.name for verdict in Verdict]
    assert all(re.search(SCHEMA["$defs"]["reason"]["pattern"], reason.name) for reason in Reason)


def damaged(data, path, value):
    """A copy of `data` with another value at `path`; without that field if it is `...`."""
    out = copy.deepcopy(data)
    *way, last = path
    inner = out
    for step in way:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return out


DAMAGE = {
    "a missing field": (("seed",), ...),
    "an unknown field": (("colour",), "red"),
    "text for a number": (("findings", 0, "gap"), "large"),
    "a list for an object": (("sources",), []),
    "an unknown verdict": (("sources", "hand", "verdict"), "FINE"),
    "a truth for a number": (("seed",), True),
    "a truth for the version": (("schema",), True),
    "a fraction for an index": (("leaves", 0, "shape"), [2.5]),
    "a negative index": (("locations", 0, "entries"), [[-1]]),
    "null for text": (("detail",), None),
    "a number for null or text": (("claim",), 3),
    "a name that is no reason": (("reason",), "not a name"),
    "a surplus field below": (("probes", 0, "colour"), 1),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_refused_by_the_schema_and_by_the_reader(what, texts):
    broken = damaged(json.loads(texts("one entry")), *DAMAGE[what])
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(broken)
    with pytest.raises(ValueError, match=r"not a whole gradproof report: report|has schema True"):
        Report.from_json(json.dumps(broken))


INCONSISTENT = {
    "an entry outside its leaf": ((("locations", 0, "entries"), [[3]]), r"a location names entry \[3\] of"),
    "a leaf cut short": ((("gradients", "sources", "hand", 0, "values"), [1.0]), r"the JSON 1 of them"),
    "indices that do not rise": ((("gradients", "sources", "hand", 0, "indices"), [3, 2]), "rising indices"),
    "a reason of tomorrow": ((("reason",), "TOMORROW"), "which this gradproof does not know"),
    "another version": ((("schema",), VERSION + 1), "read it with the version that wrote it"),
    "another format": ((("format",), "pytest report"), "no gradproof report"),
}


@pytest.mark.parametrize("what", INCONSISTENT)
def test_what_does_not_go_together_is_refused(what, texts):
    damage, says = INCONSISTENT[what]
    with pytest.raises(ValueError, match=says):
        Report.from_json(json.dumps(damaged(json.loads(texts("one entry")), *damage)))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_report_is_refused(share, texts):
    text = texts("one entry").rstrip()
    with pytest.raises(ValueError, match="is not JSON, or cut off"):
        Report.from_json(text[: int(share * len(text))])


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"schema": 1}', '{"a": NaN}', "[" * 100_000, '{"format": "gradproof report"}']
)
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match=r"no gradproof report|is not JSON|has schema None"):
        Report.from_json(text)


@pytest.mark.parametrize("content", [b"", b"no json", b"\x89PNG\r\n\xff", b"null", b"3"])
def test_another_file_is_refused(content, tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no gradproof report|is not JSON|is no text"):
        Report.from_json(path)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        Report.from_json(tmp_path / "report.json")


# Two reports


def test_nothing_changed(reports):
    same = diff(reports("one entry"), reports("one entry"))
    assert (same.worse, same.changed) == (False, False)
    assert str(same) == "= the claim: DISAGREES\nnothing changed"


def test_what_became_wrong_is_told(reports):
    found = diff(reports("right"), reports("one entry"))
    assert (found.worse, found.changed) == (True, True)
    assert found.new_wrong == ("[1].bias",)
    lines = str(found).splitlines()
    assert lines[:2] == ["! the claim: AGREES → DISAGREES", "! hand: AGREES → DISAGREES"]
    assert "+ wrong now: [1].bias" in lines
    assert any(line.startswith("+ diagnosed: hand, [1].bias: GP102") for line in lines)
    assert any(re.fullmatch(r"  numeric: \d+ → \d+ evaluations", line) for line in lines)


def test_what_was_mended_is_told(reports, texts):
    found = diff(Report.from_json(texts("one entry")), reports("right"))
    assert (found.worse, found.changed) == (False, True)
    assert found.no_longer_wrong == ("[1].bias",)
    assert "~ hand: DISAGREES → AGREES" in str(found)


def test_another_wrong_leaf_is_worse_though_the_verdict_is_the_same(reports):
    assert diff(reports("one entry"), reports("every leaf")).worse
    assert not diff(reports("every leaf"), reports("one entry")).worse


def test_leaves_and_sources_that_came_and_went(reports):
    found = diff(reports("another source"), reports("of a scalar"))
    assert "[0].weight" in found.removed
    assert found.added == ("(params)",)
    assert "torch: AGREES → not asked" in str(found)


def test_an_unsupported_source_is_no_worse_by_being_new(reports):
    more = replace(
        reports("right"),
        sources={**reports("right").sources, "jax": SourceResult("jax", Verdict.UNSUPPORTED)},
    )
    assert not diff(reports("right"), more).worse
    assert diff(reports("right"), more).changed
