"""What a Report looks like in a terminal."""

import io
import math
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from gradproof import Reason, Verdict, check
from gradproof.check import check_problem
from gradproof.course import course_problem
from gradproof.faults import plant
from gradproof.report import Gradients, Report, SourceResult
from gradproof.report.terminal import MOST_LINES, display, render, show
from gradproof.verdict import Diagnosis, Finding, Location

SOURCES = ["numeric", "hand"]
AGREES, DISAGREES, UNDECIDED = Verdict.AGREES, Verdict.DISAGREES, Verdict.UNDECIDED
MANY = ("numeric", "jax", "torch", *(f"another_source_{n}" for n in range(13)))
LONG = "encoder_block_{}_of_the_transformer_attention_projection_weight"


def made(count=60, name=LONG, sources=("numeric", "hand", "jax", "torch"), size=4):
    """A report by hand: every leaf is 1.02 times too large in "hand", the last one by most; others agree."""
    paths = [name.format(i) for i in range(count)]
    right = {path: np.arange(1.0, size + 1) for path in paths}
    findings = [
        Finding(
            "slope" if other == "numeric" else "gradient", ("hand", other), path, DISAGREES, Reason.DIFFERS,
            gap=0.02 * (i + 1), bar=1e-12, scale=5.0, worst=None if other == "numeric" else (3,),
            values={"hand": 4.08, other: 4.0},
        )
        for i, path in enumerate(paths)
        for other in sources
        if other != "hand"
    ]  # fmt: skip
    return Report(
        verdict=DISAGREES, reason=Reason.DIFFERS, detail="", claim="hand",
        sources={
            n: SourceResult(n, DISAGREES if n == "hand" else AGREES, Reason.DIFFERS if n == "hand" else None,
                            dtype="float64", calls=7, seconds=0.25)
            for n in sources
        },
        odd_one_out="hand", findings=tuple(findings),
        gradients=Gradients({
            n: {p: (1.02 if n == "hand" else 1.0) * g for p, g in right.items()} for n in sources if n != "numeric"
        }),
        certificate=None, leaves=dict.fromkeys(paths, ((size,), "float64")), resolution=1e-3, seed=7,
    )  # fmt: skip


def located(report, **changes):
    place = Location(
        "hand", "", "whole", "every entry", 1.0, 4, ((3,), (2,)), (0.08, 0.06), (1e-12, 2e-12), 4.0, 3e-12, 31
    )
    return replace(report, locations=tuple(replace(place, leaf=leaf, **changes) for leaf in report.leaves))


def factor(leaves, **changes):
    known = Diagnosis(
        "GP101", "hand", tuple(leaves), "hand is 1.02 × the right gradient", "g / 1.02", 1.02, 2e-12
    )
    return replace(known, **changes)


def one_leaf(*diagnoses):
    return replace(located(made(1, "w")), diagnoses=diagnoses)


def lines_with(text, *words):
    return [line for line in text.splitlines() if all(word in line for word in words)]


def printed(report, encoding="utf-8", verbosity=1, width=100, **options):
    """What a console of this encoding gets."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    show(report, Console(file=file, width=width, highlight=False, **options), verbosity)
    file.flush()
    return file.buffer.getvalue().decode(encoding)


# Leaves


def test_the_answer_stands_last_and_the_worst_leaf_last_among_its_kind():
    text = render(made(3, "w{}"), width=100)
    assert text.splitlines()[-1].startswith("✗ DISAGREES  hand is the odd one out")
    table, *_ = text.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == ["leaf", "w0", "w1", "w2"]
    assert re.findall(r"^✗ (\w+)   \(4,\) float64$", text, re.MULTILINE) == ["w0", "w1", "w2"]


def test_a_leaf_that_was_only_located_is_wrong_too():
    right = check_problem(course_problem(1.0), sources=SOURCES)
    place = Location(
        "hand", "[0].bias", "entries", "entry [2]", 0.2, 1, ((2,),), (0.5,), (1e-9,), evaluations=12
    )
    assert lines_with(render(replace(right, locations=(place,)), 100), "✗ [0].bias   (5,) float64")


def test_a_block_has_the_worst_entry_with_every_value_and_its_bar():
    text = render(located(made(1, "w")), width=140)
    (line,) = lines_with(text, "[3]")
    assert line == (
        "  [3]    hand +4.08 ±1.0e-12   numeric +4 ±3.0e-12   jax +4 ±1.0e-12   torch +4 ±1.0e-12"
    )
    assert lines_with(text, "  wrong  every entry (4 of 4)")


def test_the_worst_entry_of_a_finding_is_shown_where_none_was_located():
    (line,) = lines_with(render(made(1, "w"), width=140), "[3]")
    assert line == "  [3]  hand +4.08 ±1.0e-12   jax +4 ±1.0e-12   torch +4 ±1.0e-12"


def test_values_along_a_probe_are_shown_where_there_is_no_entry():
    (line,) = lines_with(render(made(1, "w", ("numeric", "hand")), width=100), "random direction")
    assert line == "  slope  hand +4.08 ±1.0e-12   numeric +4 ±1.0e-12   along a random direction"


@pytest.mark.parametrize(("evaluations", "name"), [(31, "numeric"), (0, "right")])
def test_the_right_value_is_what_the_error_leaves_where_no_other_source_has_it(evaluations, name):
    """Its bar bounds both. With no evaluation of its own it was found by correcting the claim."""
    report = located(made(1, "w", ("numeric", "hand")), numeric=math.nan, evaluations=evaluations)
    assert lines_with(render(report, 100), f"  [3]    hand +4.08 ±1.0e-12   {name} +4 ±1.0e-12")
    others = located(made(1, "w"), numeric=math.nan, evaluations=evaluations)
    assert not lines_with(render(others, 140), "[3]", name)


def test_the_numeric_value_belongs_to_the_first_entry_alone():
    text = render(located(made(1, "w")), 140, verbosity=2)
    assert lines_with(text, "  [3]    hand +4.08 ±1.0e-12   numeric +4 ±3.0e-12   jax")
    assert not lines_with(text, "  [2]", "numeric")


def test_values_get_the_digits_in_which_they_differ():
    report = made(1, "w", ("numeric", "hand"))
    finding = replace(report.findings[0], values={"hand": 4.0 + 1.234e-9, "numeric": 4.0})
    assert "hand +4.000000001234 " in render(replace(report, findings=(finding,)), 100)


def test_an_entry_of_a_scalar_has_no_index():
    report = check(lambda x: x * x, np.asarray(3.0), grad=lambda x: 3 * x, sources=SOURCES)
    place = Location(
        "hand", "(params)", "entries", "the value", 1.0, 1, ((),), (3.0,), (1e-9,), evaluations=12
    )
    assert lines_with(
        render(replace(report, locations=(place,)), 100), "  value  hand +9", "numeric +6 ±1.0e-09"
    )


def test_another_source_than_the_claim_is_named():
    text = render(located(made(1, "w"), source="jax"), width=100)
    assert lines_with(text, "wrong  jax: every entry (4 of 4)")
    assert not lines_with(render(located(made(1, "w")), width=100), "wrong  hand:")


def test_values_that_need_more_lines_stand_in_columns():
    lines = render(located(made(1, "w")), width=70).splitlines()
    (at,) = (n for n, line in enumerate(lines) if line.startswith("  [3]"))
    assert lines[at : at + 2] == [
        "  [3]    hand +4.08 ±1.0e-12   numeric +4 ±3.0e-12",
        "         jax +4 ±1.0e-12       torch +4 ±1.0e-12",
    ]


def test_what_is_wrong_with_the_claim_comes_first():
    claim, other = located(made(1, "w")).locations[0], located(made(1, "w"), source="jax").locations[0]
    text = render(replace(made(1, "w"), locations=(other, claim)), width=140)
    assert [line.split()[1] for line in lines_with(text, "  wrong")] == ["every", "jax:"]
    assert len(lines_with(text, "[3]    hand +4.08")) == 1


@pytest.mark.parametrize(
    ("where", "shown"), [("scattered", "scattered (about 62% of 4)"), ("about 62 % of the entries", "about 62 % of the entries (of 4)")]
)  # fmt: skip
def test_a_share_that_was_sampled_is_said_once(where, shown):
    text = render(located(made(1, "w"), where=where, count=None, share=0.62), width=100)
    assert lines_with(text, f"wrong  {shown}")


def test_what_only_all_leaves_together_refute_is_shown():
    report = made(1, "w", ("numeric", "hand"))
    joint = replace(report.findings[0], leaf=None)
    text = render(replace(report, findings=(joint,)), width=100)
    assert "✗ all leaves together\n  slope  hand +4.08" in text
    assert "all leaves together  hand ~ numeric off 4.0e-03" in render(
        replace(report, findings=(joint,)), 100, 0
    )


def test_a_broken_contract_marks_its_leaf_and_says_what_was_due():
    report = check_problem(plant("batch-axis", course_problem(1.0)), sources=SOURCES)
    text = render(report, width=100)
    assert lines_with(text, "[1].bias", "✗ shape")
    assert "✗ [1].bias   (3,) float64\n  shape  hand: the claim has shape (1, 3); due: (3,)." in text


def test_contracts_of_no_leaf_are_notes_and_those_of_one_kind_share_a_line():
    report = check_problem(course_problem(1.0), sources=SOURCES)
    broken = [
        Finding("contract", ("hand",), f"c{i}", DISAGREES, Reason.STRUCTURE, f"surplus leaf {i}")
        for i in range(30)
    ]
    report = replace(report, findings=(*report.findings, *broken))
    (line,) = lines_with(render(report, 200), "surplus leaf")
    assert line.startswith("✗ hand, c0: the claim is not a tree like params: surplus leaf 0")
    assert line.endswith("(and 29 more like it)")
    assert len(lines_with(render(report, 200, verbosity=2), "✗ hand, c")) == 30


# Diagnoses


def test_a_diagnosis_has_its_code_its_number_and_a_correction():
    (line,) = lines_with(render(one_leaf(factor(["w"])), width=140), "GP101")
    assert line == "  GP101  constant factor: hand is 1.02 × the right gradient (±2.0e-12); try g / 1.02"


@pytest.mark.parametrize("says", ["hand is 51/50 × the right gradient", "is 51/50 × the right gradient"])
def test_a_diagnosis_has_its_source_once_and_a_number_that_is_not_told(says):
    (line,) = lines_with(render(one_leaf(factor(["w"], says=says, value=1.02 + 1e-15)), width=140), "GP101")
    assert "factor: hand is 51/50 × the right gradient (1.02 ±2.0e-12); try" in line


@pytest.mark.parametrize("leaf", [None, "w"])
def test_a_contract_that_a_diagnosis_explains_is_told_once(leaf):
    moved = Finding("contract", ("hand",), leaf, DISAGREES, Reason.MUTATES, "w has changed")
    known = Diagnosis(
        "GP113", "hand", (leaf,) if leaf else (), f"hand: {Reason.MUTATES.value} (w has changed)"
    )
    report = replace(made(1, "w"), findings=(moved,))
    for diagnoses in ((), (known,)):
        assert render(replace(report, diagnoses=diagnoses), 200).count("w has changed") == 1
    other = replace(report, diagnoses=(replace(known, source="jax"),))
    assert render(other, 200).count("w has changed") == 2


def test_a_number_that_is_its_own_name_is_told_once():
    report = one_leaf(factor(["w"], says="has the wrong sign", value=-1.0, named="-1", correction=""))
    assert lines_with(render(report, 140), "hand has the wrong sign (-1 ±2.0e-12)")


def test_one_more_is_one():
    text = render(made(13, "w{}", ("numeric", "hand")), width=100)
    assert "1 more leaf, none worse" in render(replace(made(13, "w{}"), findings=()), width=100)
    assert "more wrong leaves; verbosity=2" in text


def test_a_diagnosis_names_what_its_number_is_and_repeats_nothing():
    assert "(±2.0e-12 = 51/50)" in render(one_leaf(factor(["w"], named="51/50")), 140)
    said = factor(["w"], says="hand is (51/50 ± 2e-12) × the right one", named="51/50")
    assert "the right one; try g / 1.02" in render(one_leaf(said), 140)


def test_a_diagnosis_of_many_leaves_is_printed_once_with_the_leaves():
    report = located(made(3, "w{}"))
    everywhere = render(replace(report, diagnoses=(factor(report.leaves),)), 140)
    assert len(lines_with(everywhere, "GP101")) == len(lines_with(everywhere, "(in all 3 leaves)")) == 1
    some = render(replace(report, diagnoses=(factor(["w0", "w2"]),)), 140)
    assert len(lines_with(some, "GP101")) == len(lines_with(some, "(in 2 of 3 leaves: w0, w2)")) == 1


def test_the_simplest_diagnosis_is_told_and_the_others_are_named():
    report = one_leaf(
        factor(["w"]), Diagnosis("GP104", "hand", ("w",), "hand is off by 51/50, the length of x")
    )
    text = render(report, width=140)
    assert lines_with(text, "  or     GP104 factor that is a size")
    assert "the length of x" not in text
    assert lines_with(
        render(report, 140, verbosity=2), "or GP104  factor that is a size: hand is off by 51/50"
    )


def test_other_diagnoses_of_one_kind_are_named_once():
    others = [factor(["w"], code="GP104", says=f"number {n}") for n in range(3)]
    text = render(one_leaf(factor(["w"]), *others, factor(["w"], code="GP122")), width=140)
    assert lines_with(text, "  or     GP104 factor that is a size, GP122 chain-rule factor of the parameter")


@pytest.mark.parametrize("leaves", [("w",), ()])
def test_a_diagnosis_without_a_block_is_told_too(leaves):
    """Of a leaf that is not wrong (a kink), or of no leaf at all (an input that was changed)."""
    report = replace(made(1, "w"), findings=(), diagnoses=(Diagnosis("GP113", "hand", leaves, "changed w"),))
    assert lines_with(render(report, 100), "  GP113  input changed in place: hand changed w")


def test_a_source_that_no_mistake_explains_is_said_so():
    assert "? hand and jax: no known mistake explains it" in render(
        replace(made(1, "w"), undiagnosed=("hand", "jax"))
    )
    assert "no known mistake" not in render(made(1, "w"))


def test_a_code_of_tomorrow_prints_without_a_title():
    assert lines_with(render(one_leaf(factor(["w"], code="GP999")), 140), "  GP999  hand is 1.02")


# The end


def test_what_does_not_agree_can_be_seen_again():
    again = 'again: check(..., seed=7, sources=["numeric", "hand", "jax", "torch"]'
    assert len(lines_with(render(made(1, "w"), 100), f"{again})")) == 1
    assert (
        len(lines_with(render(replace(made(1, "w"), resolution=0.05), 100), f"{again}, resolution=0.05)"))
        == 1
    )
    assert "again" not in render(check_problem(course_problem(1.0), sources=SOURCES))


def test_the_line_that_shows_it_again_runs():
    report = check(np.sum, np.ones(3), grad=lambda x: 2 * x, sources=SOURCES, seed=5, resolution=0.01)
    (line,) = lines_with(render(report, 200), "again: ")
    call = line.removeprefix("again: ").replace("...", "np.sum, np.ones(3), grad=lambda x: 2 * x")
    repeated = eval(call, {"check": check, "np": np})
    assert repeated.to_dict()["findings"] == report.to_dict()["findings"]
    assert (repeated.seed, repeated.resolution) == (5, 0.01)


def test_a_reason_is_told_once():
    report = check(
        lambda x: np.abs(x).sum(), np.array([0.0, 1.0]), grad=lambda _: np.array([3.0, 1.0]), sources=SOURCES
    )
    assert report.reason is Reason.KINK
    assert render(report, 400).count(Reason.KINK.value) == 1
    assert len(lines_with(render(report, 400), "UNDECIDED", "kink")) == 3


def test_a_source_that_cannot_be_asked_takes_one_line_or_all_it_needs():
    report = made(1, "w")
    sources = {
        **report.sources,
        "jax": SourceResult("jax", Verdict.UNSUPPORTED, Reason.CANNOT_RUN, "E\n" + "x" * 300),
    }
    report = replace(report, sources=sources)
    (line,) = lines_with(render(report, 100), "cannot run this function")
    assert len(line) == 100
    assert line.endswith("x…")
    assert render(report, 100, verbosity=2).replace("\n", "").count("x" * 300) == 1


def test_of_many_sources_the_worst_are_shown():
    text = render(made(1, "w", (*MANY, "hand")), width=100)
    assert lines_with(text, "hand", "✗ DISAGREES", "the claim")
    assert "9 more sources, none worse than those shown" in text


# How much


def test_verbosity_0_is_the_answer_and_a_line_per_wrong_leaf():
    report = located(made(60, "w{}"))
    text = render(replace(report, diagnoses=(factor(report.leaves),)), width=100, verbosity=0)
    assert len(text.splitlines()) == 61
    assert text.splitlines()[-2] == "✗ w59  (4,) float64  every entry (4 of 4)  GP101 constant factor"
    assert text.splitlines()[-1] == "✗ DISAGREES  hand is the odd one out; numeric, jax and torch agree"
    assert (
        render(check_problem(course_problem(), sources=SOURCES), 100, 0)
        == "✓ AGREES  hand agrees with numeric"
    )


def test_verbosity_0_says_by_how_much_where_nothing_was_located():
    assert render(made(1, "w"), 100, 0).startswith("✗ w  (4,) float64  hand ~ numeric off 4.0e-03\n")


def crowded(count, sources=("numeric", "hand", "jax", "torch")):
    """Everything that there can be too much of."""
    report = located(made(count, sources=sources))
    sentence = "a sentence that goes on and on " * 12
    broken = [
        Finding("contract", (name,), leaf, verdict, reason, sentence)
        for name in sources
        for leaf in (None, *report.leaves)
        for verdict, reason in ((DISAGREES, Reason.MUTATES), (UNDECIDED, Reason.NAN_UNDER_MASK))
    ]
    results = {
        n: replace(r, verdict=UNDECIDED, reason=reason, detail=sentence)
        for reason, (n, r) in zip(list(Reason) * 2, report.sources.items(), strict=False)
    }
    return replace(
        report, detail=sentence, nearest_kink=0.01, undiagnosed=tuple(sources), sources=results,
        findings=(*report.findings, *broken),
        diagnoses=(
            *(factor([leaf], says=sentence) for leaf in report.leaves),
            *(factor(report.leaves, code=f"GP{n}", source="jax", says=sentence) for n in range(101, 131)),
            *(factor(list(report.leaves)[:n], source="torch", says=sentence) for n in range(2, count)),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 140, 300])
@pytest.mark.parametrize(
    "report",
    [
        made(),
        located(made()),
        crowded(3),
        crowded(60),
        crowded(3, ("hand", *MANY)),
        crowded(60, ("hand", *MANY)),
    ],
    ids=["found", "located", "few", "crowded", "few, many sources", "crowded, many sources"],
)
def test_forty_lines_hold_any_report(report, width):
    text = render(report, width=width)
    assert len(text.splitlines()) <= MOST_LINES == 40
    assert "\n✗ DISAGREES  hand is the odd one out" in text or "\n✗ DISAGREES  hand: " in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_is_left_out_is_counted_and_the_worst_leaf_is_not(width):
    report = located(made())
    report = replace(report, diagnoses=tuple(factor([leaf]) for leaf in report.leaves))
    text = render(report, width)
    flowing = re.sub(r"\s+", "", text)
    for worst in (LONG.format(59), "[3]", "GP101", "DISAGREES", "hand+4.08"):
        assert worst in flowing
    rows, blocks = (int(re.search(rf"(\d+) more {kind}", text)[1]) for kind in ("leaves", "wrong leaves"))
    assert 60 - blocks == len(re.findall(r"^  wrong", text, re.MULTILINE))
    assert 60 - rows + 60 - blocks == flowing.count("encoder_block")


def test_verbosity_2_shows_everything():
    report = located(
        made(), entries=tuple((i % 4,) for i in range(70)), errors=(0.08,) * 70, bars=(3e-12,) * 70
    )
    report = replace(report, diagnoses=tuple(factor([leaf]) for leaf in report.leaves))
    text = render(report, 140, verbosity=2)
    assert len(lines_with(text, "✗ encoder", "(4,) float64")) == 60
    assert len(lines_with(text, "GP101")) == 60
    assert len(re.findall(r"^  \[\d\]", text, re.MULTILINE)) == 60 * 50
    assert text.count("20 more named entries") == 60
    assert len(lines_with(text, "✗  slope hand ~ numeric, encoder", "gap", "bar 1.0e-12 of 5.0e+00")) == 60
    assert len(lines_with(text, "✗  gradient hand ~ jax, encoder", "at [3]", "bar 1.0e-12")) == 60
    assert "more" not in text.replace("more named entries", "").replace("by more than", "")


@pytest.mark.parametrize("verbosity", [-1, 3, "2", None])
def test_another_verbosity_is_refused(verbosity):
    with pytest.raises(ValueError, match=r"verbosity is 0 .* or 2 \(everything\); got"):
        render(made(1), verbosity=verbosity)
    with pytest.raises(ValueError, match="verbosity is 0"):
        show(made(1), Console(file=io.StringIO()), verbosity=verbosity)


# Terminals


REPORTS = {
    "right": lambda: check_problem(course_problem(1.0), sources=SOURCES),
    "shape": lambda: check_problem(plant("batch-axis", course_problem(1.0)), sources=SOURCES),
    "undecided": lambda: check(lambda x: np.abs(x).sum(), np.zeros(2), grad=lambda x: x + 3, sources=SOURCES),
    "not finite": lambda: check(lambda x: x.sum() * math.inf, np.ones(2), grad=np.copy, sources=SOURCES),
    "one": lambda: one_leaf(factor(["w"])),
    "crowded": lambda: crowded(12),
    "many sources": lambda: crowded(2, ("hand", *MANY)),
}


@pytest.mark.parametrize("verbosity", [0, 1, 2])
@pytest.mark.parametrize("width", [12, 40, 60, 80, 140])
@pytest.mark.parametrize("kind", REPORTS)
def test_no_line_is_wider_than_the_terminal(kind, width, verbosity):
    report = REPORTS[kind]()
    text = render(report, width, verbosity)
    assert max(map(len, text.splitlines())) <= width
    assert report.verdict.value in text.replace("\n", "")


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_loses_no_path_code_or_verdict(width):
    report = replace(
        located(made(2)), diagnoses=(factor([LONG.format(0)]), factor([LONG.format(1)], code="GP104"))
    )
    page = [line.strip() for line in render(report, width).splitlines()]
    text = re.sub(r"\s+", "", "".join(page))
    for word in ("✗DISAGREES", LONG.format(1), "GP104", "numeric+4"):
        assert word in text
    assert "…" not in text


def test_a_name_wider_than_its_column_is_broken_and_not_cut():
    text = render(made(1, "w", ("numeric", "hand", "q" * 50)), width=40)
    table, _end = text.split("\n\n")[-2:]
    assert table.count("q") == 50


def test_a_name_in_brackets_is_not_taken_for_markup():
    name = "[red]x[/red]"
    report = located(made(1, name), where="[blue]everywhere[/blue]")
    report = replace(
        report, diagnoses=(factor([name], says="[b]bold[/b]"),), reason=Reason.KINK, odd_one_out=None
    )
    report = replace(report, detail="[i]slanted[/i]")
    for verbosity in (0, 1, 2):
        text = render(report, 140, verbosity)
        assert f"✗ {name}  " in text
        assert "[blue]everywhere[/blue]" in text
        assert "([i]slanted[/i])" in text
    assert "[b]bold[/b]" in render(report, 140)


def test_an_entry_without_a_gradient_at_hand_shows_by_how_much_it_is_off():
    report = replace(located(made(1, "w"), numeric=math.nan), gradients=Gradients(), findings=())
    assert lines_with(render(report, 100), "  [3]    off by +0.08 ±1.0e-12")


def test_no_text_of_others_moves_the_cursor():
    report = one_leaf(factor(["w"], says="one\x1b[2Jtwo\nthree"))
    assert r"one\x1b[2Jtwo three" in render(report, 140)


def test_colours_only_where_the_console_has_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    report, red = located(made(2)), re.compile(r"\x1b\[[\d;]*31m")
    assert red.search(printed(report, force_terminal=True, color_system="standard"))
    assert "\x1b" not in printed(report)
    assert "\x1b" not in render(report)


def test_without_colours_the_symbols_stay(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(located(made(2)), force_terminal=True, color_system="standard")
    assert not re.search(r"\x1b\[[\d;]*[349]\d", text)
    assert "✗" in text
    assert "✓" in text


@pytest.mark.parametrize("verbosity", [0, 1, 2])
@pytest.mark.parametrize("kind", REPORTS)
def test_an_output_that_knows_only_ascii_gets_words(kind, verbosity):
    text = printed(REPORTS[kind](), "ascii", verbosity)
    assert not re.search(r"\\u|\\x", text)
    assert re.search(r"^(ok AGREES|X DISAGREES|\? UNDECIDED)  ", text, re.MULTILINE)


def test_ascii_stands_for_every_symbol():
    text = printed(one_leaf(factor(["w"])), "ascii")
    assert "X w   (4,) float64\n" in text
    assert "hand is 1.02 x the right gradient (+/-2.0e-12)" in text
    assert "ok AGREES" in text
    unasked = replace(
        made(1), sources={"jax": SourceResult("jax", Verdict.UNSUPPORTED, Reason.NOT_INSTALLED, "é" * 200)}
    )
    lines = printed(unasked, "ascii", width=100)
    assert lines_with(lines, "- UNSUPPORTED")
    (line,) = lines_with(lines, "framework is not installed")
    assert len(line) == 100
    assert r"(\xe9\xe9" in line
    assert line.endswith("...")


def test_a_symbol_that_the_encoding_has_is_kept():
    text = printed(one_leaf(factor(["w"])), "cp1252")
    assert "hand is 1.02 × the right gradient (±2.0e-12)" in text
    assert "X w " in text


def test_a_string_suits_the_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert str(made(1, "w")).isascii()
    monkeypatch.setattr(sys, "stdout", None)
    assert "✗" in str(made(1, "w"))


def test_displayed_is_what_is_rendered(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    report, file = located(made(2, "w{}")), io.StringIO()
    display(report, 0, file)
    assert file.getvalue() == render(report, 100, 0) + "\n"
    display(report)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == render(
        report, 100
    ).splitlines()
