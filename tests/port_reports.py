"""PortReports made by hand: a small GPT in torch, flax and numpy, right and wrong."""

from dataclasses import replace
from itertools import count
from math import inf, nan

from gradproof import Reason, Verdict
from gradproof.porting.layouts.layout import Layout, Move, Piece
from gradproof.porting.record import Compared, Mark, PortReport, PortResult, Row
from gradproof.verdict import Diagnosis, Finding

AGREES, DISAGREES, UNDECIDED = Verdict.AGREES, Verdict.DISAGREES, Verdict.UNDECIDED

BLOCK = {
    "": "Block Block", "ln_1": "LayerNorm LayerNorm", "attn": "CausalSelfAttention Attention", "attn.c_attn": "Linear Linear",
    "attn.scores": "", "attn.c_proj": "Linear Linear", "ln_2": "LayerNorm LayerNorm", "mlp": "MLP MLP",
    "mlp.c_fc": "Linear Linear", "mlp.gelu": "GELU GELU", "mlp.c_proj": "Linear Linear",
}  # fmt: skip
"""Path in the block → its kinds in torch and flax; a tap has none."""

FLAX = {"ln_1": "norm1", "ln_2": "norm2", "c_attn": "qkv", "c_proj": "out", "c_fc": "fc"}


def steps(layers=2):
    """(path, role, kinds) of every node, as a run computes them."""
    yield from (
        ("", "input", "GPT GPT"),
        ("wte", "input", "Embedding Embed"),
        ("wte", "output", "Embedding Embed"),
    )
    yield from (("wpe", "input", "Embedding Embed"), ("wpe", "output", "Embedding Embed"))
    for at in range(layers):
        yield from (
            step for name in BLOCK if "." not in name and name for step in inside(f"h.{at}", name, at)
        )
    for name, kinds in (("ln_f", "LayerNorm LayerNorm"), ("head", "Linear Linear")):
        yield from ((name, "input", kinds), (name, "output", kinds))
    yield "", "output", "GPT GPT"


def inside(block, name, at):
    """Nodes of one module of a block, with those inside it; the block's own come with its first and last module."""
    if name == "ln_1":
        yield block, "input", BLOCK[""]
    yield f"{block}.{name}", "input", BLOCK[name]
    for inner, kinds in BLOCK.items():
        if inner.startswith(f"{name}."):
            if kinds:
                yield f"{block}.{inner}", "input", kinds
            yield f"{block}.{inner}", "output" if kinds else "tap", kinds
    yield f"{block}.{name}", "output", BLOCK[name]
    if name == "mlp":
        yield block, "output", BLOCK[""]


def in_flax(path):
    parts = [FLAX.get(part, part) for part in path.split(".")]
    if parts[0] == "h":
        parts[:2] = [f"blocks[{parts[1]}]"]
    return ".".join(parts)


def rows(layers=2, other=in_flax):
    """All of them agree."""
    found = []
    for path, role, kinds in steps(layers):
        ours, _, theirs = kinds.partition(" ")
        suffix = " input" if role == "input" else ""
        integers = path in ("wte", "wpe", "") and role == "input"
        shape = (
            (2, 16, 192)
            if path.endswith("c_attn") and role == "output"
            else (2, 16)
            if integers
            else (2, 16, 64)
        )
        mark = Mark.UNSEEN if integers else Mark.AGREES
        numbers = {} if integers else {"gap": 2e-16, "bar": 1e-15, "scale": 0.8, "backward_gap": 1e-18,
                                       "backward_bar": 4e-18, "backward_scale": 2e-3}  # fmt: skip
        found.append(Row(f"{path or '(whole)'}{suffix}", f"{other(path) or '(whole)'}{suffix}", role, ours, theirs, shape,
                         shape, Mark.AGREES if integers else mark, mark, **numbers))  # fmt: skip
    return found


def broken(found, key, forward=True, backward=False):
    """`key` is wrong by itself; all after it (before it, for cotangents) carries that."""
    at = next(i for i, row in enumerate(found) if row.key == key)
    out = list(found)
    for i, row in enumerate(found):
        if forward and i >= at:
            mark = Mark.WRONG if i == at else Mark.CARRIED
            out[i] = replace(
                out[i],
                forward=mark,
                gap=4.2e-6 * (1 + i - at),
                bar=1.1e-11,
                scale=0.97,
                local_gap=4.2e-6 if i == at else 3e-16,
            )
        if backward and i <= at and row.backward is Mark.AGREES:
            mark = Mark.WRONG if i == at else Mark.CARRIED
            out[i] = replace(
                out[i],
                backward=mark,
                backward_gap=3e-4,
                backward_bar=2e-18,
                backward_scale=2e-3,
                backward_local_gap=3e-4,
            )
    return out


def findings(found, port, reference="torch", gradients=28):
    """What a comparison with these rows would find."""
    pair = (reference, port)
    made = [Finding("inputs", pair, None, AGREES, gap=0.0, bar=0.0, scale=1.0)]
    made += [
        Finding("parameter", pair, f"p{i}", AGREES, gap=0.0, bar=0.0, scale=1.0) for i in range(gradients)
    ]
    wrong = any(row.forward is Mark.WRONG for row in found)
    back = wrong or any(row.backward is Mark.WRONG for row in found)
    for what, differs, times in (("output", wrong, 2), ("loss", wrong, 1)):
        gap = 8.4e-5 if differs else 3e-16
        made.append(
            Finding(
                what,
                pair,
                None,
                DISAGREES if differs else AGREES,
                Reason.DIFFERS if differs else None,
                "",
                gap,
                1e-15 * times,
                3.9,
            )
        )
    for what in ("forward", "backward"):
        for row in found:
            mark = getattr(row, what)
            if mark in (Mark.UNSEEN, Mark.UNMATCHED):
                continue
            gap, bar, scale = (
                (row.gap, row.bar, row.scale)
                if what == "forward"
                else (row.backward_gap, row.backward_bar, row.backward_scale)
            )
            bad = mark in (Mark.WRONG, Mark.CARRIED)
            values = {reference: 0.123456789, port: 0.123456789 + gap} if bad else {}
            made.append(Finding(what, pair, row.key or row.other, DISAGREES if bad else AGREES, Reason.DIFFERS if bad else None, "",
                                gap, bar, scale, (0, 3, 17) if bad else None, values))  # fmt: skip
    made += [Finding("gradient", pair, f"p{i}", DISAGREES if back else AGREES, Reason.DIFFERS if back else None, "",
                     3e-4 if back else 2e-18, 1e-17, 2e-3) for i in range(gradients)]  # fmt: skip
    made.append(Finding("precision", pair, None, AGREES, gap=2e-7, bar=6e-7, scale=3.9))
    return tuple(made)


def layout(count=28):
    moves = [
        Move("wte.embedding", (65, 64), (Piece("wte.weight", (0, 1)),), None, "value"),
        Move(
            "blocks[0].attn.q.kernel",
            (64, 4, 16),
            (Piece("h.0.attn.c_attn.weight", (1, 0), 0, 0, 64),),
            None,
            "value",
        ),
        Move("blocks[0].attn.bias", (64,), (Piece("b_ih", (0,)), Piece("b_hh", (0,))), None, "behaviour"),
        Move("rnn.w", (64, 128), (Piece("w_i", (1, 0)), Piece("w_h", (1, 0))), 1, "behaviour"),
    ]
    moves += [Move(f"p{i}", (64,), (Piece(f"p{i}", (0,)),), None, "value") for i in range(count - 4)]
    shapes = {
        "wte.weight": (65, 64),
        "h.0.attn.c_attn.weight": (192, 64),
        "b_ih": (64,),
        "b_hh": (64,),
        "w_i": (64, 64),
        "w_h": (64, 64),
    }
    return Layout(tuple(moves), shapes={**shapes, **{f"p{i}": (64,) for i in range(count - 4)}})


def compared(port="flax", found=None, first=(None, None), **more):
    found = rows() if found is None else found
    wrong = any(first)
    return Compared(
        port, DISAGREES if wrong else AGREES, Reason.DIFFERS if wrong else None, "", more.pop("layout", layout()),
        more.pop("transferred", False), more.pop("findings", findings(found, port)), tuple(found), *first, **more,
    )  # fmt: skip


def ports(*names):
    numbers = count(21)
    return {
        name: PortResult(
            name, name, 112_321, "float32", next(numbers) * 1e-8, next(numbers) * 1e-8, AGREES, "", 6, 0.4
        )
        for name in names
    }


def report(*found, **more):
    """Of comparisons with torch."""
    bad = [c for c in found if c.verdict is DISAGREES]
    odd = bad[0].port if len(bad) == 1 and len(found) > 1 else None
    made = PortReport(
        DISAGREES if bad else AGREES, Reason.DIFFERS if bad else None, "", "torch", ports("torch", *(c.port for c in found)),
        {c.port: c for c in found}, odd, 7,
    )  # fmt: skip
    return replace(made, **more)


EPS = Diagnosis(
    "GP201", "flax", ("h.0.ln_1", "h.0.ln_2", "h.1.ln_1", "h.1.ln_2", "ln_f"), "eps is 1e-05 in torch and 1e-06 in flax",
    "epsilon=1e-05", 1e-6,
)  # fmt: skip


def agreeing():
    return report(compared("flax", transferred=True), compared("numpy", rows(other=lambda path: path)))


def forward():
    """A LayerNorm with another eps."""
    found = broken(rows(), "h.0.ln_1")
    return report(compared("flax", found, ("h.0.ln_1", None), diagnoses=(EPS,)), compared("numpy"))


def backward():
    """Right forward, and a wrong gradient through an attention."""
    found = broken(rows(), "h.1.attn.scores", forward=False, backward=True)
    return report(
        compared("flax", found, (None, "h.1.attn.scores"), undiagnosed=("h.1.attn.scores",)),
        compared("numpy"),
    )


def both():
    """Plain code between modules is wrong, and every count is there: other modules, and parameters without counterpart."""
    found = broken(broken(rows(), "h.1.ln_2 input"), "h.1.mlp", forward=False, backward=True)
    found.insert(
        20,
        Row(
            "", "blocks[0].attn.q", "output", "", "Linear", (), (2, 16, 4, 16), Mark.UNMATCHED, Mark.UNMATCHED
        ),
    )
    moved = replace(layout(), unmatched=("rope.cache",), unused=("h.0.attn.bias", "h.1.attn.bias"))
    moved = replace(moved, moves=(replace(moved.moves[0], alternatives=2), *moved.moves[1:]))
    wrong = compared(
        "flax",
        found,
        ("h.1.ln_2 input", "h.1.mlp"),
        layout=moved,
        notes=("dropout was switched off in torch",),
    )
    return report(compared("numpy"), wrong)


def many(layers=24):
    """A deep one of which every LayerNorm is wrong."""
    found = rows(layers)
    at = next(i for i, row in enumerate(found) if row.key == "h.0.ln_1")
    found = broken(found, "h.0.ln_1")
    found = [
        replace(row, forward=Mark.WRONG)
        if i > at and row.kind == "LayerNorm" and row.role == "output"
        else row
        for i, row in enumerate(found)
    ]
    return report(
        compared("flax", found, ("h.0.ln_1", None), diagnoses=(EPS,)), compared("numpy", rows(layers))
    )


def both_wrong():
    """No port agrees with the reference."""
    one = compared("flax", broken(rows(), "h.0.ln_1"), ("h.0.ln_1", None), diagnoses=(EPS,))
    two = compared("numpy", broken(rows(), "h.1.mlp.gelu"), ("h.1.mlp.gelu", None))
    return report(one, two)


def undecided():
    """Nothing could be shown."""
    there = compared(
        "flax",
        [],
        findings=(Finding("inputs", ("torch", "flax"), None, UNDECIDED, Reason.DOMAIN, "NaN"),),
        layout=Layout(()),
    )
    there = replace(there, verdict=UNDECIDED, reason=Reason.DOMAIN, detail="the output is NaN")
    return report(there, verdict=UNDECIDED, reason=Reason.DOMAIN, detail="")


def only_the_step():
    """All agrees but one parameter after a step of the optimizer."""
    here = (
        *findings(rows(), "flax"),
        Finding("step", ("torch", "flax"), "wte.weight", DISAGREES, Reason.DIFFERS, "", 1e-3, 1e-9, 1.0),
    )
    there = replace(compared("flax", findings=here), verdict=DISAGREES, reason=Reason.DIFFERS)
    made = report(there)
    odd = {
        **made.ports,
        "flax": replace(
            made.ports["flax"], numeric=DISAGREES, numeric_detail="off by 2.0 along one direction"
        ),
    }
    return replace(made, ports=odd)


NASTY = (
    "<script>alert(1)</script>", "</style>", "{{7*7}}", "{% raw %}", "\"'\\", "[red]x[/red]", "a\u2028b", "\u202egnp", "\ud800",
    "&lt;", "\x1b[31mred", "a\nb", "x" * 300,
)  # fmt: skip
"""Names that break out of HTML, JSON, JavaScript, a template, a line, a terminal, or UTF-8."""


def nasty():
    """Everything that has a name has such a name."""
    made = [
        Row(
            name,
            name[::-1],
            "output",
            name,
            name,
            (3,),
            (3,),
            Mark.WRONG if at == 0 else Mark.CARRIED,
            Mark.AGREES,
            1.0,
            0.1,
            1.0,
            1.0,
        )
        for at, name in enumerate(NASTY)
    ]
    told = tuple(
        Finding(
            "forward",
            ("torch", name),
            NASTY[0],
            DISAGREES,
            Reason.DIFFERS,
            name,
            1.0,
            0.1,
            1.0,
            (0,),
            {name: 1.0, "torch": 2.0},
        )
        for name in NASTY
    )
    moves = tuple(Move(name, (3,), (Piece(name, (0,)),), None, name) for name in NASTY)
    helps = tuple(Diagnosis(name, "flax", (name,), name, name) for name in NASTY)
    there = compared(
        NASTY[0],
        made,
        (NASTY[0], None),
        findings=told,
        layout=Layout(moves, NASTY, NASTY),
        diagnoses=helps,
        undiagnosed=NASTY,
        notes=NASTY,
    )
    return replace(
        report(there, detail=NASTY[1], odd_one_out=NASTY[0]),
        reference=NASTY[2],
        ports=ports(NASTY[2], NASTY[0]),
    )


def strange():
    """Every number that JSON has none for."""
    row = Row(
        "a", "", "output", "A", "", (), (), Mark.WRONG, Mark.WRONG, inf, 0.0, -inf, nan, inf, nan, nan, nan
    )
    there = compared("flax", [row], ("a", "a"), findings=(
        Finding("forward", ("torch", "flax"), "a", DISAGREES, Reason.NOT_FINITE, "", inf, 0.0, nan, (), {"torch": nan, "flax": -inf}),
    ))  # fmt: skip
    return report(there)


MADE = {
    "agreeing": agreeing, "forward": forward, "backward": backward, "both": both, "many": many, "both wrong": both_wrong,
    "undecided": undecided, "only the step": only_the_step, "nasty": nasty, "strange": strange,
}  # fmt: skip
