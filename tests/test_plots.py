"""A Report as a matplotlib Figure."""

import io
import sys

import numpy as np
import pytest

from fresh import python
from gradproof import Report, check
from gradproof.check import check_problem
from gradproof.course import course_problem
from gradproof.faults import plant
from gradproof.trees import leaves_by_path
from test_json import MADE, large, nasty

SOURCES = ["numeric", "hand"]


@pytest.fixture(scope="module")
def wrong():
    return check_problem(plant("column-doubled", course_problem(1.0)), sources=[*SOURCES, "torch"])


def drawn(figure):
    """What an Agg canvas makes of it: everything is laid out and drawn."""
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    return file.getvalue()


def words(figure):
    """Everything that is written in it."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def maps(figure):
    return [axis for axis in figure.axes if axis.images]


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind != "ten million"])
def test_every_report_can_be_drawn(kind):
    report = MADE[kind]()
    figure = report.plot()
    assert drawn(figure).startswith(b"\x89PNG")
    assert report.verdict.name in figure.get_suptitle()


def test_a_wrong_leaf_is_drawn_beside_the_right_one_on_one_scale(wrong):
    claimed, right, difference = maps(wrong.plot())
    leaf = wrong.locations[0].leaf
    hand, torch = (leaves_by_path(wrong.gradients[name])[leaf] for name in ("hand", "torch"))
    assert [axis.get_title() for axis in (claimed, right, difference)] == ["hand", "torch", "hand − torch"]
    for axis, values in zip((claimed, right, difference), (hand, torch, hand - torch), strict=True):
        assert np.array_equal(axis.images[0].get_array(), values)
    limits = {axis.images[0].get_clim() for axis in (claimed, right, difference)}
    assert limits == {(-np.abs([hand, torch]).max(), np.abs([hand, torch]).max())}


def test_wrong_entries_are_framed_and_no_others(wrong):
    (frame,) = maps(wrong.plot())[0].collections
    hand, torch = (
        leaves_by_path(wrong.gradients[name])[wrong.locations[0].leaf] for name in ("hand", "torch")
    )
    rows, columns = np.nonzero(np.abs(hand - torch) > 1e-12)
    inside = np.array([(x, y) for segment in frame.get_segments() for x, y in segment])
    assert inside.min(axis=0).tolist() == [columns.min() - 0.5, rows.min() - 0.5]
    assert inside.max(axis=0).tolist() == [columns.max() + 0.5, rows.max() + 0.5]


def test_error_against_step_has_the_bar_and_every_claim(wrong):
    labels = " ".join(words(wrong.plot()))
    assert "the bar: " in labels
    assert "hand off by " in labels
    assert "torch, within the bar" in labels
    steps = next(axis for axis in wrong.plot().axes if axis.get_xscale() == "log")
    x, y = steps.lines[0].get_data()
    known = Report.from_json(wrong.to_json()).probes
    kept = next((p for p in known if p.leaf == wrong.locations[0].leaf), known[0])
    assert tuple(x) == kept.steps
    assert y == pytest.approx(np.abs(np.array(kept.slopes) - kept.value))


def test_evaluations_are_told_by_source(wrong):
    text = words(wrong.plot())
    for name, source in wrong.sources.items():
        assert name in text
        assert str(source.calls) in text


def test_one_leaf_can_be_asked_for(wrong):
    right = next(path for path in wrong.leaves if path != wrong.locations[0].leaf)
    assert len(maps(wrong.plot(leaf=wrong.locations[0].leaf))) == 3
    assert maps(wrong.plot(leaf=right)) == []
    with pytest.raises(ValueError, match=r"there is no leaf 'weight'; there are \[0\]\.weight"):
        wrong.plot(leaf="weight")


def test_at_most_six_leaves_are_drawn_the_worst_first():
    figure = large(20, 4).plot()
    assert len(maps(figure)) == 18
    assert figure.get_suptitle().endswith("(4 more wrong leaves are not drawn)")
    assert next(text for text in words(figure) if "(4, 4)" in text).startswith("layer_19 ")


def test_a_large_leaf_shows_the_worst_of_every_block():
    values = maps(large(2, 1000).plot())[2].images[0].get_array()
    assert values.shape == (63, 63)
    assert np.count_nonzero(np.abs(values) > 1e-3) == 63


def test_long_and_thin_and_deep_leaves_are_drawn():
    params = {
        "long": np.arange(1.0, 301),
        "deep": np.ones((2, 3, 4)),
        "tall": np.ones((200, 1)),
        "one": np.array(2.0),
    }
    report = check(lambda p: sum((x**2).sum() for x in p.values()), params,
                   grad=lambda p: {name: 2.2 * x for name, x in p.items()}, sources=[*SOURCES, "torch"])  # fmt: skip
    figure = report.plot()
    assert drawn(figure)
    shapes = {axis.images[0].get_array().shape for axis in maps(figure)}
    assert shapes == {(5, 64), (6, 4), (50, 1), (1, 1)}


def test_a_name_is_no_formula():
    assert drawn(nasty().plot())
    report = check(lambda p: (p["$x_1$ {"] ** 2).sum(), {"$x_1$ {": np.ones(3)},
                   grad=lambda p: {"$x_1$ {": 3 * p["$x_1$ {"]}, sources=SOURCES)  # fmt: skip
    assert drawn(report.plot())


def test_pyplot_is_left_alone():
    code = """
    import json, sys
    import numpy as np
    from gradproof import check
    report = check(lambda x: (x * x).sum(), np.arange(3.0), grad=lambda x: 3 * x, sources=["numeric", "hand"])
    before = "matplotlib" in sys.modules
    report.plot().savefig("/dev/null", format="png")
    print(json.dumps([before, "matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules]))
    """
    assert python(code) == [False, True, False]


def test_without_the_extra_it_is_said_what_to_install(wrong, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "gradproof\[report\]"'):
        wrong.plot()
