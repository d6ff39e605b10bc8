"""Modules as users write them, twice: the layout is found unaided, and they are proven equal, layer by layer, forward and backward."""

import warnings

import pytest

pytest.importorskip("torch")
pytest.importorskip("flax")
pytest.importorskip("equinox")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the frameworks, on import
    from ports_zoo.eqx_pairs import EQUINOX, LINEN
    from ports_zoo.pairs import PAIRS
    from ports_zoo.trial import FREE, proven, same_layout

from gradproof.verdict import Verdict

EVERY = {**PAIRS, **EQUINOX, **LINEN}
STAGES = {"inputs", "output", "gradient"}
IN_ONE_PIECE = {"LSTM, Equinox", "GRU, Equinox"}
"""Torch's is one module, Equinox's the cell that a loop calls: nothing on the way of one is on the way of the other."""


@pytest.mark.parametrize("pair", EVERY.values(), ids=EVERY)
def test_an_equal_pair_is_proven_equal(pair):
    ports, report = proven(pair)
    assert report.verdict is Verdict.AGREES, str(report)
    one = report.compared["jax"]
    assert one.transferred
    assert {f.what for f in one.findings} >= STAGES
    assert ("forward" in {f.what for f in one.findings}) == (pair.name not in IN_ONE_PIECE)
    assert not [f for f in one.findings if f.verdict is not Verdict.AGREES and f.what != "parameter"]
    assert (one.first_forward, one.first_backward, one.diagnoses, one.undiagnosed) == (None, None, (), ())
    assert {
        move.target for move in one.layout.moves if move.alternatives and not move.target.endswith(FREE)
    } == set()
    assert same_layout(pair, ports, one.layout), str(one.layout)
