"""What a PortReport looks like in a terminal."""

import io
import re
import sys
from dataclasses import replace

import pytest
from rich.console import Console

import port_reports as made
from gradproof import Verdict
from gradproof.porting.record import Mark, Row
from gradproof.porting.report.saying import answer, matched
from gradproof.porting.report.terminal import MOST_LINES, render, show
from gradproof.porting.report.tree import forest, tree_lines
from gradproof.porting.report.words import Ink, multiple
from gradproof.verdict import Reason

WIDTHS = (60, 80, 100, 160)


def lines_of(report, port="flax", **more):
    """(depth, label, forward, backward, note) of a tree."""
    found = tree_lines(report.compared[port], **more)
    return [(line.depth, line.label, line.forward, line.backward, line.note) for line in found]


# The answer


def test_the_answer_names_the_first_node_and_counts():
    assert answer(made.forward()) == (
        "flax, the odd one out, differs from torch: first at h.0.ln_1 (LayerNorm), forward; 1 of 52 nodes wrong by itself, "
        "44 carried; numpy agrees"
    )
    alone = made.report(made.forward().compared["flax"])
    assert answer(alone).startswith(
        "flax differs from torch: first at h.0.ln_1 (LayerNorm), forward; 1 of 52"
    )


def test_the_answer_of_ports_that_agree_says_how_much_was_compared():
    assert answer(made.agreeing()) == (
        "torch ~ flax ~ numpy: outputs, loss, 52 nodes forward and backward, 28 gradients; worst 0.33 × bar; "
        "float32 errors 2.1e-07 (torch), 2.3e-07 (flax) and 2.5e-07 (numpy)"
    )


def test_the_answer_of_what_agrees_keeps_its_word_of_caution():
    kinked = replace(
        made.compared(), reason=Reason.SUBGRADIENT, detail="another convention at a kink: h.0.mlp.gelu"
    )
    assert answer(made.report(kinked)).endswith("another convention at a kink: h.0.mlp.gelu")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("backward", "first at h.1.attn.scores, backward; 1 of 52 nodes wrong by itself, 29 carried"),
        ("both", "first at h.1.ln_2 input (LayerNorm), forward; 2 of 53 nodes wrong by themselves"),
        (
            "only the step",
            "first in optimizer step (wte.weight); 1 of 1 differs; the gradient of flax is not that of its own",
        ),
        ("undecided", "flax ~ torch: the function is not finite"),
        ("both wrong", "numpy differs from torch: first at h.1.mlp.gelu (GELU), forward"),
        ("strange", "first at a (A), forward and backward"),
    ],
)
def test_the_answer_in_other_cases(kind, words):
    assert words in answer(made.MADE[kind]())


def test_a_reference_that_is_the_odd_one_out_is_named():
    assert answer(replace(made.both_wrong(), odd_one_out="torch")).startswith(
        "torch is the odd one out; numpy differs"
    )


# The page


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", made.MADE)
def test_it_fits_and_ends_with_the_answer(kind, width):
    report = made.MADE[kind]()
    lines = render(report, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= MOST_LINES or width < 80
    start = max(
        i
        for i, line in enumerate(lines)
        if line.startswith(f"{Ink().mark(report.verdict).plain} {report.verdict.value}")
    )
    said = " ".join(" ".join(lines[start:]).split())
    assert "".join(said.partition("  ")[0].split())
    if width == 160 and kind != "nasty":
        assert "".join(answer(report).split()) in "".join(said.split())


def test_names_are_shown_whole_where_there_is_room():
    for width in (80, 100, 160):
        text = render(made.forward(), width)
        assert re.search(r"✗ +✓ +ln_1  LayerNorm +norm1  LayerNorm .*◄ here", text), width
        assert "h.0.ln_1 ~ blocks[0].norm1" in text


def test_a_narrow_terminal_keeps_the_marks_and_the_place():
    text = render(made.forward(), 60)
    assert re.search(r"✗ +✓ +ln_1 +norm1 +◄ here", text)


def test_the_block_tells_both_values_the_gap_and_what_is_left_on_the_references_inputs():
    text = render(made.forward(), 120)
    assert "at [0, 3, 17]          torch +0.12345679   flax +0.12346099" in text
    assert "4.2e-06 of 9.7e-01, 3.8e+05 × the bar (1.1e-11)" in text
    assert "on torch's own inputs  it differs by 4.2e-06: the difference is made here" in text
    assert "help: GP201 eps is 1e-05 in torch and 1e-06 in flax (h.0.ln_1" in text
    assert "→  epsilon=1e-05" in text


def test_a_difference_that_is_within_the_bar_on_the_references_inputs_is_not_made_there():
    report = made.forward()
    rows = tuple(
        replace(row, local_gap=1e-12) if row.key == "h.0.ln_1" else row
        for row in report.compared["flax"].rows
    )
    carried = replace(
        report, compared={**report.compared, "flax": replace(report.compared["flax"], rows=rows)}
    )
    assert "it differs by 1.0e-12, within the bar" in render(carried, 120)


def test_both_directions_have_a_block_where_there_is_room():
    text = render(made.both(), 160, 2)
    assert "first wrong forward" in text
    assert "first wrong backward" in text
    assert "on torch's own inputs and cotangents" in text


def test_parameters_are_told_with_what_is_unclear():
    told = dict(matched(made.both(), made.both().compared["flax"])[::-1])
    assert [words for _, words in matched(made.both(), made.both().compared["flax"])] == [
        "parameters: 28 of 29 matched: 26 by value, 2 by behaviour",
        "other ways to match them fit as well: wte.embedding (2)",
        "without counterpart, in flax alone: rope.cache",
        "without counterpart, in torch alone: h.0.attn.bias, h.1.attn.bias",
    ]
    assert set(told) == {Verdict.AGREES, Verdict.UNDECIDED}
    assert "those of torch were transferred into flax" in render(made.agreeing(), 120)


def test_everything_shows_every_layer_and_where_every_parameter_comes_from():
    text = render(made.forward(), 160, 2)
    assert len(re.findall(r"c_proj", text)) == 8  # two in each block, in both trees on the left; not folded
    assert "wte.embedding" in text
    assert "= h.0.attn.c_attn.weight[0:64] transposed" in text
    assert "3.8e+05 ×" in text


def test_quiet_is_short():
    assert len(render(made.forward(), 120, 0).splitlines()) <= 4
    assert "GP201" in render(made.forward(), 120, 0)
    assert "no known mistake explains it" in render(made.backward(), 120, 0)


def test_another_verbosity_is_refused():
    with pytest.raises(ValueError, match="verbosity is 0"):
        render(made.agreeing(), verbosity=3)


def test_stages_that_agree_share_a_line_only_where_there_is_no_room():
    roomy, tight = render(made.agreeing(), 100), render(made.forward(), 100)
    assert re.search(r"parameters +✓ 28  exact +✓ 28  exact", roomy)
    assert "✓ inputs, parameters, layers backward, own precision" in tight
    assert re.search(r"layers forward +✗ 45 of 52  1.7e\+07 × bar +✓ 52  0.2 × bar", tight)


@pytest.mark.parametrize("kind", made.MADE)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_other_encodings(kind, encoding):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    made.MADE[kind]().show(file=file)
    file.flush()
    text = raw.getvalue().decode(encoding)
    assert "\\u" not in text or kind == "nasty"  # every symbol of ours has a spelling
    assert made.MADE[kind]().verdict.value in text


def test_no_symbol_is_needed_to_read_it(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    text = render(made.forward(), 100)
    assert re.search(r"X +ok +ln_1  LayerNorm .*<- here", text)
    assert text.isascii()


@pytest.mark.parametrize("name", made.NASTY)
def test_names_are_never_markup_nor_control_characters(name):
    file = io.StringIO()
    show(made.nasty(), Console(file=file, width=100, force_terminal=True, color_system="standard"), 2)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert "\x1b" not in plain
    assert "\u202e" not in plain
    assert "[red]x[/red]" in plain


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    show(made.forward(), Console(file=file, width=100, force_terminal=True))
    assert "\x1b[3" not in file.getvalue()


def test_print_show_and_str_are_the_same(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    made.forward().show()
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == str(
        made.forward()
    ).splitlines()


def test_it_is_no_truth_value():
    with pytest.raises(TypeError, match="three verdicts"):
        bool(made.agreeing())


# The tree


def test_what_agrees_is_folded_and_what_is_wrong_stands_between_its_neighbours():
    assert lines_of(made.report(made.many().compared["flax"]), most=0) == [
        (0, "(whole)", Mark.CARRIED, Mark.AGREES, ""),
        (1, "wte", Mark.AGREES, Mark.AGREES, ""),
        (1, "wpe", Mark.AGREES, Mark.AGREES, ""),
        (1, "h.0", Mark.CARRIED, Mark.AGREES, ""),
        (2, "ln_1", Mark.WRONG, Mark.AGREES, "◄ here"),
        (2, "attn", Mark.CARRIED, Mark.AGREES, "4 layers carried"),
        (2, "ln_2", Mark.WRONG, Mark.AGREES, ""),
        (2, "mlp", Mark.CARRIED, Mark.AGREES, "4 layers carried"),
        (1, "h.1", Mark.WRONG, Mark.AGREES, "2 wrong, 9 carried"),
        (1, "h.2 … ln_f", Mark.WRONG, Mark.AGREES, "45 wrong, 198 carried"),
        (1, "head", Mark.CARRIED, Mark.AGREES, ""),
    ]


def test_the_first_wrong_cotangent_is_unfolded_wherever_it_is():
    lines = lines_of(made.backward(), most=0, neighbours=False)
    assert (3, "scores", Mark.AGREES, Mark.WRONG, "◄ here (backward)") in lines
    assert (1, "wte … h.0", Mark.AGREES, Mark.CARRIED, "13 layers carried") in lines


def test_an_input_that_is_wrong_by_itself_has_a_line_of_its_own():
    lines = lines_of(made.both())
    at = next(i for i, line in enumerate(lines) if line[1] == "ln_2")
    assert lines[at + 1] == (3, "input", Mark.WRONG, Mark.CARRIED, "◄ here")
    assert lines[at][2] is Mark.CARRIED


def test_what_only_the_port_has_stands_where_its_module_stands():
    found = tree_lines(made.both().compared["flax"], fold=False)
    at = next(i for i, line in enumerate(found) if line.forward is Mark.UNMATCHED)
    assert (found[at].label, found[at].other, found[at].note) == ("", "q", "no counterpart")
    above = next(line for line in reversed(found[:at]) if line.depth == found[at].depth - 1)
    assert (above.label, above.other) == ("attn", "attn")


def test_a_fold_holds_all_that_is_behind_it():
    whole = made.agreeing().compared["flax"]
    (fold,) = tree_lines(whole)
    assert fold.note == "27 layers agree"
    assert list(fold.folded) == tree_lines(whole, fold=False)


@pytest.mark.parametrize(
    ("keys", "paths"),
    [
        (["h[0].ln input", "h[0].ln"], [("h[0].ln", 2)]),
        (["ln", "ln#2", "ln input#2"], [("ln", 1), ("ln#2", 2)]),
        (["a.b.c", "a.d", "a"], [("a", 1)]),
        (["(whole) input", "x", "(whole)"], [("(whole)", 2)]),
    ],
)
def test_keys_become_layers(keys, paths):
    rows = [Row(key, key, "output", "", "", (), (), Mark.AGREES, Mark.AGREES) for key in keys]
    assert [(layer.label, len(layer.rows)) for layer in forest(rows)] == paths


def test_layers_without_rows_are_left_out_of_the_path():
    rows = [
        Row(key, key, "output", "", "", (), (), Mark.AGREES, Mark.AGREES)
        for key in ("h.0.ln", "h.0", "h.1.ln", "h.1")
    ]
    assert [(layer.label, [inner.label for inner in layer.inside]) for layer in forest(rows)] == [
        ("h.0", ["ln"]),
        ("h.1", ["ln"]),
    ]


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (0.0, "0 ×"),
        (0.3, "0.3 ×"),
        (1e-5, "1.0e-05 ×"),
        (42.0, "42 ×"),
        (4.1e5, "4.1e+05 ×"),
        (float("inf"), "∞ ×"),
        (float("nan"), ""),
    ],
)
def test_multiples(factor, words):
    assert multiple(factor) == words
