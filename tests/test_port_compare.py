"""`compare`: which port differs, where it begins, forward and backward, and what it says of bad input."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradproof.porting.compare import compare
from gradproof.porting.doors import function_port, torch_port
from gradproof.porting.record import Mark
from gradproof.porting.tap import tap, tap_cotangent
from gradproof.verdict import Reason, Verdict


class Block(nn.Module):
    """A pre-norm MLP block; what is wrong in it is told by name."""

    def __init__(self, **wrong):
        super().__init__()
        self.ln = nn.LayerNorm(6, eps=wrong.get("eps", 1e-5))
        self.fc1 = nn.Linear(6, 12)
        self.fc2 = nn.Linear(12, 6)
        self.wrong = wrong

    def forward(self, x):
        hidden = F.gelu(self.fc1(self.ln(x)), approximate=self.wrong.get("gelu", "none"))
        if "stopped" in self.wrong:
            hidden = hidden.detach()
        if "halved" in self.wrong:
            hidden = hidden / 2 + (hidden / 2).detach()
        return x + self.wrong.get("scale", 1.0) * self.fc2(hidden)


def network(blocks=3, at=None, **wrong):
    torch.manual_seed(0)
    return nn.Sequential(*(Block(**(wrong if i == at else {})) for i in range(blocks)))


X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)


def against_right(at=None, **wrong):
    return compare({"right": torch_port(network()), "port": torch_port(network(at=at, **wrong))}, (X,))


def marks(report, port="port"):
    return {row.key: (row.forward, row.backward) for row in report.compared[port].rows}


def test_two_copies_agree_in_every_stage():
    report = against_right()
    assert report.verdict is Verdict.AGREES
    compared = report.compared["port"]
    stages = {finding.what for finding in compared.findings}
    assert stages >= {"inputs", "parameter", "output", "forward", "backward", "gradient", "precision"}
    assert all(finding.verdict is Verdict.AGREES for finding in compared.findings)
    assert compared.first_forward is compared.first_backward is None
    assert not compared.transferred


def test_the_first_wrong_layer_is_named_and_what_follows_is_not_blamed():
    report = against_right(at=1, eps=1e-3)
    assert report.verdict is Verdict.DISAGREES
    assert report.compared["port"].first_forward == "1.ln"
    told = marks(report)
    assert told["0.fc2"][0] is Mark.AGREES
    assert told["1.ln"][0] is Mark.WRONG
    assert told["1.fc1"][0] is told["2"][0] is Mark.CARRIED
    assert [key for key, (forward, _) in told.items() if forward is Mark.WRONG] == ["1.ln"]
    assert [key for key, (_, backward) in told.items() if backward is Mark.WRONG] == []


def test_what_plain_code_between_layers_does_is_named_by_what_it_is_handed_to():
    report = against_right(at=2, gelu="tanh")
    assert report.compared["port"].first_forward == "2.fc2 input"
    (diagnosis,) = report.compared["port"].diagnoses
    assert "tanh" in diagnosis.says
    assert diagnosis.leaves == ("2.fc2 input",)


def test_several_wrong_layers_are_all_named_and_told_together():
    wrong = network()
    wrong[0].ln.eps = wrong[2].ln.eps = 1e-3
    report = compare({"right": torch_port(network()), "port": torch_port(wrong)}, (X,))
    (diagnosis,) = report.compared["port"].diagnoses
    assert diagnosis.leaves == ("0.ln", "2.ln")


def test_a_backward_pass_that_alone_is_wrong_is_named_from_the_loss_backwards():
    report = against_right(at=1, halved=True)
    compared = report.compared["port"]
    assert report.verdict is Verdict.DISAGREES
    assert compared.first_forward is None
    assert compared.first_backward == "1.fc1"
    assert [d.code for d in compared.diagnoses] == ["GP101"]
    assert marks(report)["2.fc1"] == (Mark.AGREES, Mark.AGREES)
    assert marks(report)["0.fc1"] == (Mark.AGREES, Mark.CARRIED)


def test_numeric_says_whose_gradient_is_wrong():
    right, wrong = torch_port(network(1)), torch_port(network(1, at=0, halved=True))
    for ports in ({"a": right, "b": wrong}, {"b": wrong, "a": right}):
        report = compare(ports, (X,))
        assert report.odd_one_out == "b"
        assert report.ports["a"].numeric is Verdict.AGREES
        assert report.ports["b"].numeric is Verdict.DISAGREES


def test_a_stopped_gradient_is_named():
    report = against_right(at=1, stopped=True)
    assert report.compared["port"].first_backward == "1.fc1"
    assert [d.code for d in report.compared["port"].diagnoses] == ["GP238"]


@pytest.mark.parametrize("reference", ["a", "b", "c"])
def test_of_three_ports_the_one_that_differs_is_the_odd_one_out(reference):
    ports = {
        "a": torch_port(network()),
        "b": torch_port(network(at=0, scale=1.5)),
        "c": torch_port(network()),
    }
    report = compare(ports, (X,), reference=reference)
    assert report.odd_one_out == "b"


def test_a_port_that_is_in_float64_by_itself_is_compared_as_sharply():
    right, port = network().double(), network().double()
    assert compare({"a": torch_port(right), "b": torch_port(port)}, (X,)).verdict is Verdict.AGREES
    port[1].ln.eps = 1.001e-5
    report = compare({"a": torch_port(right), "b": torch_port(port)}, (X,))
    assert report.compared["b"].first_forward == "1.ln"


def test_a_lower_precision_inside_is_found_where_it_begins():
    class Half(Block):
        def forward(self, x):
            return x + self.fc2(F.gelu(self.fc1(self.ln(x)).to(torch.bfloat16).to(x.dtype)))

    wrong = network()
    wrong[1].__class__ = Half
    report = compare({"a": torch_port(network()), "b": torch_port(wrong)}, (X,))
    assert report.verdict is Verdict.DISAGREES
    lossy = [f.leaf for f in report.compared["b"].findings if f.verdict is Verdict.DISAGREES]
    assert lossy[0] == "1.fc2 input"
    assert [d.code for d in report.compared["b"].diagnoses] == ["GP237"]


def test_losses_are_compared_and_a_mean_for_a_sum_is_said():
    ports = {
        "a": torch_port(nn.Linear(6, 3), loss=lambda y, t: F.mse_loss(y, t, reduction="sum")),
        "b": torch_port(nn.Linear(6, 3), loss=F.mse_loss),
    }
    target = np.random.default_rng(1).normal(size=(4, 3))
    report = compare(ports, (X[:, 0],), targets=(target,))
    compared = report.compared["b"]
    wrong = [f.what for f in compared.findings if f.verdict is Verdict.DISAGREES]
    assert "output" not in wrong
    assert "loss" in wrong
    assert [d.code for d in compared.diagnoses] == ["GP239"]


def test_one_step_of_the_optimizers_is_compared():
    right = network(1)
    ports = {"a": torch_port(right), "b": torch_port(copy.deepcopy(right))}
    steps = {
        "a": lambda p: torch.optim.AdamW(p, lr=1e-3),
        "b": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=1e-4),
    }
    same = compare(ports, (X,), optimizers={"a": steps["a"], "b": steps["a"]})
    assert same.verdict is Verdict.AGREES
    assert any(f.what == "step" for f in same.compared["b"].findings)
    other = compare(ports, (X,), optimizers=steps)
    wrong = {f.what for f in other.compared["b"].findings if f.verdict is Verdict.DISAGREES}
    assert wrong == {"step"}
    assert {d.code for d in other.compared["b"].diagnoses} == {"GP252"}


def test_a_step_is_compared_by_its_own_rounding():
    """The gradient of a bias before a normalisation is noise, which says nothing of the other parameters' steps."""

    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))

    ports = {"a": torch_port(net()), "b": torch_port(net())}
    steps = {"a": lambda p: torch.optim.SGD(p, lr=1e-2), "b": lambda p: torch.optim.SGD(p, lr=1.001e-2)}
    report = compare(ports, (X[:, 0],), optimizers=steps)
    assert {f.what for f in report.compared["b"].findings if f.verdict is Verdict.DISAGREES} == {"step"}
    same = dict.fromkeys(ports, lambda p: torch.optim.Adam(p, lr=1e-2))  # which divides noise by its size
    assert compare(ports, (X[:, 0],), optimizers=same).verdict is Verdict.AGREES


class Centred(nn.Module):
    """A normalisation, beside a value that is nothing but rounding."""

    def __init__(self, momentum=0.1, **options):
        super().__init__()
        self.norm = nn.BatchNorm1d(6, momentum=momentum, **options)

    def forward(self, x):
        y = self.norm(x)
        return y + tap("nothing", y.mean(0) - y.sum(0) / len(y))


def test_running_statistics_are_compared_by_their_own_rounding():
    ports = {"a": torch_port(Centred()), "b": torch_port(Centred(momentum=0.1001))}
    report = compare(ports, (X[:, 0],))
    assert {f.what for f in report.compared["b"].findings if f.verdict is Verdict.DISAGREES} == {"buffer"}
    assert compare(ports, (X[:, 0],), ignore=("buffer",)).verdict is Verdict.AGREES


def test_running_statistics_that_one_port_does_not_keep_are_missing():
    ports = {"a": torch_port(Centred()), "b": torch_port(Centred(track_running_stats=False))}
    for pair in (ports, dict(reversed(ports.items()))):
        report = compare(pair, (X[:, 0],))
        (compared,) = report.compared.values()
        missing = {f.leaf for f in compared.findings if f.what == "buffer" and f.verdict is Verdict.DISAGREES}
        assert missing == {"norm.running_mean", "norm.running_var"}


def test_statistics_of_layers_behind_a_wrong_one_are_not_diagnosed():
    def net(scale):
        torch.manual_seed(0)
        return nn.Sequential(Block(scale=scale), nn.Flatten(), nn.BatchNorm1d(30))

    report = compare({"a": torch_port(net(1.0)), "b": torch_port(net(1.5))}, (X,))
    compared = report.compared["b"]
    assert any(f.what == "buffer" and f.verdict is Verdict.DISAGREES for f in compared.findings)
    assert {leaf for d in compared.diagnoses for leaf in d.leaves} == {"0"}
    assert compared.undiagnosed == ()


def test_a_parameter_that_is_zero_and_missing_matters_if_it_is_trained():
    torch.manual_seed(0)
    with_bias, without = nn.Linear(6, 3), nn.Linear(6, 3, bias=False)
    with torch.no_grad():
        with_bias.bias.zero_()
        without.weight.copy_(with_bias.weight)
    report = compare({"a": torch_port(with_bias), "b": torch_port(without)}, (X,))
    assert report.verdict is Verdict.DISAGREES
    assert [d.code for d in report.compared["b"].diagnoses] == ["GP250"]


def test_one_row_of_a_copied_table_that_is_wrong_is_found():
    torch.manual_seed(0)
    right = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 3))
    port = copy.deepcopy(right)
    with torch.no_grad():
        port[0].weight[3] += 1e-3
    tokens = np.arange(10).reshape(2, 5)
    report = compare({"a": torch_port(right), "b": torch_port(port)}, (tokens,))
    wrong = [f.leaf for f in report.compared["b"].findings if f.verdict is Verdict.DISAGREES]
    assert wrong[0] == "0.weight"


@pytest.mark.parametrize(
    ("inputs", "says"),
    [(np.full((4, 6), np.nan), "not finite"), (np.zeros((4, 6)), "zero"), (np.zeros((0, 6)), "empty")],
)
def test_outputs_that_tell_nothing_agree_with_nothing(inputs, says):
    ports = {name: torch_port(nn.Linear(6, 3, bias=False)) for name in "ab"}
    report = compare(ports, (inputs.astype(np.float32),))
    assert report.verdict is Verdict.UNDECIDED
    assert report.reason is Reason.NOTHING_COMPARED
    assert says in report.detail


class Shifted(nn.Module):
    """A bias before a normalisation, whose gradient is nothing but rounding: 1e-8 of float32's, or by luck 0."""

    def __init__(self, shift):
        super().__init__()
        torch.manual_seed(3)
        self.fc, self.norm, self.out = nn.Linear(6, 5), nn.BatchNorm1d(5, affine=False), nn.Linear(5, 2)
        self.shift = shift

    def forward(self, x):
        return self.out(self.norm((self.fc(x) + self.shift) - self.shift))


def test_a_gradient_that_is_zero_but_for_rounding_is_no_loss_of_precision():
    report = compare({"a": torch_port(Shifted(0)), "b": torch_port(Shifted(3))}, (X[:, 0],))
    assert report.verdict is Verdict.AGREES
    assert not [f for f in report.compared["b"].findings if f.what == "precision" and f.leaf == "fc.bias"]


def test_an_optimizer_that_divides_rounding_by_its_size_is_no_other_optimizer():
    """Adam moves the bias by the learning rate, up or down as the rounding has it."""
    ports = {"a": torch_port(Shifted(0)), "b": torch_port(Shifted(3))}
    adam = dict.fromkeys(ports, lambda p: torch.optim.Adam(p, lr=1e-2, eps=1e-30))
    assert compare(ports, (X[:, 0],), optimizers=adam).verdict is Verdict.AGREES


class Dropping(nn.Module):
    """Dropout on the branch of a residual, in a module that the other side has not."""

    def __init__(self, rate):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.out = nn.Linear(6, 6), nn.Linear(6, 3)
        self.drop = nn.Dropout(rate) if rate else None

    def forward(self, x):
        branch = self.fc(x)
        return self.out(x + (self.drop(branch) if self.drop else branch))


def test_dropout_that_is_on_is_named():
    report = compare({"a": torch_port(Dropping(0.2)), "b": torch_port(Dropping(0.0))}, (X,))
    assert report.verdict is Verdict.DISAGREES
    (diagnosis,) = report.compared["b"].diagnoses
    assert diagnosis.code == "GP228"
    assert diagnosis.correction == "put a into evaluation mode"


# A backward pass written by hand


def hand(params, x):
    hidden = tap("hidden", np.tanh(x @ params["w"].T + params["b"]))
    return hidden @ params["v"].T


def hand_vjp(params, x, g, mistake=1.0):
    hidden = np.tanh(x @ params["w"].T + params["b"])
    gh = tap_cotangent("hidden", g @ params["v"])
    gz = mistake * gh * (1 - hidden**2)
    return {"w": gz.T @ x, "b": gz.sum(0), "v": g.T @ hidden}


class Tapped(nn.Module):
    """The same in torch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.w, self.v = nn.Parameter(torch.randn(5, 6)), nn.Parameter(torch.randn(3, 5))
        self.b = nn.Parameter(torch.randn(5))

    def forward(self, x):
        return tap("hidden", torch.tanh(x @ self.w.T + self.b)) @ self.v.T


def numpy_of(module):
    return {name: p.detach().numpy().copy() for name, p in module.named_parameters()}


def test_a_hand_written_backward_pass_is_compared_by_its_taps():
    module = Tapped()
    ports = {"torch": torch_port(module), "numpy": function_port(hand, numpy_of(module), vjp=hand_vjp)}
    report = compare(ports, (X[:, 0],))
    assert report.verdict is Verdict.AGREES
    assert marks(report, "numpy")["hidden"] == (Mark.AGREES, Mark.AGREES)


def test_a_mistake_in_a_hand_written_backward_pass_is_found():
    module = Tapped()
    wrong = function_port(hand, numpy_of(module), vjp=lambda p, x, g: hand_vjp(p, x, g, mistake=2.0))
    report = compare({"torch": torch_port(module), "numpy": wrong}, (X[:, 0],))
    assert report.verdict is Verdict.DISAGREES
    assert report.odd_one_out == "numpy"
    assert {d.code for d in report.compared["numpy"].diagnoses} == {"GP101"}


def test_kinks_are_conventions():
    x = np.zeros((2, 3), np.float32)
    x[0, 0] = 1.0

    def fun(params, x):
        return abs(params["w"] * x)

    def vjp(params, x, g):
        slope = np.where(params["w"] * x >= 0, 1.0, -1.0)
        return {"w": (g * slope * x).sum(0)}

    w = np.ones(3, np.float32)
    ports = {
        "torch": function_port(fun, {"w": torch.tensor(w)}),
        "hand": function_port(fun, {"w": w}, vjp=vjp),
    }
    assert compare(ports, (x,)).verdict is Verdict.AGREES


def test_absolute_values_at_zero_are_recognised():
    """The parameter itself is at the kink: torch says 0, the other side 1."""
    w = np.array([0.0, 1.0, -2.0], np.float32)

    def fun(params, x):
        return abs(params["w"]) * x

    def vjp(params, x, g):
        return {"w": (g * np.where(params["w"] >= 0, 1.0, -1.0) * x).sum(0)}

    ports = {
        "torch": function_port(fun, {"w": torch.tensor(w)}),
        "hand": function_port(fun, {"w": w}, vjp=vjp),
    }
    report = compare(ports, (np.ones((2, 3), np.float32),))
    assert report.verdict is Verdict.AGREES
    assert report.reason is Reason.SUBGRADIENT
    assert [d.code for d in report.compared["hand"].diagnoses] == ["GP109"]


def test_a_slope_that_the_function_does_not_have_is_no_convention():
    """At its kink |w| has slopes from −1 to 1."""
    w = np.array([0.0, 1.0, -2.0], np.float32)

    def fun(params, x):
        return abs(params["w"]) * x

    def vjp(params, x, g):
        return {"w": (g * np.where(params["w"] == 0, 5.0, np.sign(params["w"])) * x).sum(0)}

    ports = {
        "torch": function_port(fun, {"w": torch.tensor(w)}),
        "hand": function_port(fun, {"w": w}, vjp=vjp),
    }
    report = compare(ports, (np.ones((2, 3), np.float32),))
    assert report.verdict is Verdict.DISAGREES
    assert report.odd_one_out == "hand"


# Nothing of the caller's changes, and bad input is refused


def test_modules_and_inputs_are_left_as_they_were():
    module, x = network(), X.copy()
    before = {name: p.clone() for name, p in module.state_dict().items()}
    compare({"a": torch_port(module), "b": torch_port(network(at=1, eps=1e-2))}, (x,))
    np.testing.assert_array_equal(x, X)
    assert all(torch.equal(p, before[name]) for name, p in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())


def test_what_a_port_raises_says_which_port():
    def broken(module, x):
        raise RuntimeError("no")

    ports = {"a": torch_port(network()), "b": torch_port(network(), call=broken)}
    with pytest.raises(RuntimeError, match="no") as caught:
        compare(ports, (X,))
    assert any("'b'" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ports": {"a": torch_port(network())}}, "two ports or more"),
        ({"ports": [torch_port(network())]}, "got a list"),
        ({"reference": "aa"}, "did you mean 'a'"),
        ({"inputs": {"a": (X,)}}, "none for 'b'"),
        ({"inputs": {"a": (X,), "b": (X,), "d": (X,)}}, "unknown port 'd'"),
        ({"optimizers": {"a": None}}, "none for 'b'"),
        ({"ignore": ("buffers",)}, "did you mean 'buffer'"),
        ({"ignore": ("output",)}, "unknown stage 'output'"),
        ({"ports": {"a": torch_port(network(), loss=F.mse_loss), "b": torch_port(network())}}, "b has none"),
    ],
)
def test_bad_calls_are_refused(changed, says):
    call = {"ports": {"a": torch_port(network()), "b": torch_port(network())}, "inputs": (X,), **changed}
    with pytest.raises(ValueError, match=says):
        compare(call.pop("ports"), call.pop("inputs"), **call)


def test_other_inputs_are_said_to_be_others():
    ports = {"a": torch_port(network()), "b": torch_port(network())}
    report = compare(ports, {"a": (X,), "b": (X + 1,)})
    assert report.verdict is Verdict.DISAGREES
    assert {finding.what for finding in report.compared["b"].findings} == {"inputs"}
    assert "given different inputs" in report.detail


def test_progress_is_told():
    told = []
    compare({"a": torch_port(network()), "b": torch_port(network())}, (X,), progress=told.append)
    assert told
    assert told[-1].unit == "runs"
