"""A port that was recorded in one environment is the same in another; a file that is damaged or foreign is refused."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from importlib.util import find_spec
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradproof.porting.comparing.sides import Side
from gradproof.porting.port import Call, Forced, Module, NotRunnableError, Run, Seen
from gradproof.porting.recording import as_npz, as_safetensors, files
from gradproof.porting.recording.files import compare_files, read_port, record
from gradproof.porting.recording.recorded import RecordedPort, RecordedRun
from gradproof.porting.recording.stored import pack, unpack
from gradproof.porting.seeds import seed_for

RNG = np.random.default_rng(5)
X = RNG.standard_normal((4, 3)).astype(np.float32)
SETTINGS = {
    "eps": 1e-5,
    "training": False,
    "name": "ä",
    "fill": -np.inf,
    "size": (3, [1, None]),
    "n": np.int64(3),
}


@dataclass
class Layer:
    """tanh(x @ w) @ v, with its derivatives written by hand."""

    parameters: dict = field(
        default_factory=lambda: {
            "w": np.asfortranarray(RNG.standard_normal((3, 5)).astype(np.float32)),
            "../head/ü": RNG.standard_normal((2, 5)).astype(np.float32).T,
        }
    )
    has_loss: bool = False
    differentiates: bool = True
    transposed: bool = False
    framework: str = "numpy"
    buffers: dict = field(
        default_factory=lambda: {"mean": np.float32(0.25) * np.ones((), np.float32), "count": np.int64([3])}
    )
    shared: dict = field(default_factory=lambda: {"tied": "w"})
    modules: dict = field(default_factory=lambda: {"": Module("Layer"), "w": Module("Dense", SETTINGS)})

    def run(self, call):
        dtype = np.float64 if call.double else np.float32
        given = self.parameters if call.parameters is None else call.parameters
        w, v = (np.asarray(given[path], dtype=dtype) for path in self.parameters)
        x = np.asarray(call.inputs[0].T if self.transposed else call.inputs[0], dtype=dtype)
        h = np.tanh(x @ w)
        y = h @ v
        loss = float(np.sum(y * call.targets[0])) if self.has_loss else None
        seed = call.targets[0] if self.has_loss else call.seeds and call.seeds[0]
        back = None if seed is None or not self.differentiates else np.asarray(seed, dtype=dtype)
        dh, gradients = None, None
        if back is not None:
            dh = back @ v.T
            gradients = dict(zip(self.parameters, (x.T @ (dh * (1 - h**2)), h.T @ back), strict=True))
        nodes = (
            Seen("h", "tap", "", "h", h, "bfloat16", dh),
            Seen("h", "output", "Dense", "h#2", y, "float32", back),
        )
        return Run(
            {"(output)": y, "count": np.int32([7])},
            {"(output)": "float32", "count": "int32"},
            loss,
            nodes if call.watched else (),
            gradients,
            {"mean": np.mean(h)},
        )


HELD = {".npz": "numpy", ".safetensors": "safetensors"}
SUFFIXES = pytest.mark.parametrize("suffix", [suffix for suffix, name in HELD.items() if find_spec(name)])


def same(one, other):
    """Whether two values hold the same, types, dtypes, bits and the order of dicts included."""
    if isinstance(one, np.ndarray | np.generic):
        one, other = np.asarray(one), np.asarray(other)
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=False)
        return type(one) is type(other) and len(one) == len(other) and all(same(x, y) for x, y in pairs)
    return type(one) is type(other) and (one == other or repr(one) == repr(other) == "nan")


def recording(tmp_path, port=None, file="a.npz", inputs=(X,), **options):
    record(Layer() if port is None else port, inputs, tmp_path / file, **options)
    return tmp_path / file


# Round trip


@SUFFIXES
@pytest.mark.parametrize("has_loss", [False, True])
def test_every_run_of_a_port_comes_back(tmp_path, suffix, has_loss):
    port, targets = Layer(has_loss=has_loss), (np.ones((4, 2)),) if has_loss else ()
    read_again = read_port(recording(tmp_path, port, f"a{suffix}", targets=targets, name="ours"))
    for name in ("parameters", "buffers", "shared", "framework", "has_loss", "differentiates"):
        assert same(getattr(read_again, name), getattr(port, name))
    assert read_again.modules[""] == Module("Layer")
    assert read_again.modules["w"].settings == {**SETTINGS, "n": 3}
    assert (read_again.name, read_again.path) == ("ours", str(tmp_path / f"a{suffix}"))
    assert same(read_again.inputs, (X,))
    assert same(read_again.targets, targets)
    seeds = None if has_loss else read_again.seeds
    for double in (True, False):
        call = Call((X,), targets, double=double, seeds=seeds)
        assert same(read_again.run(call), port.run(call))
        assert read_again.run(call).gradients.keys() == port.parameters.keys()


@SUFFIXES
def test_a_parameter_in_any_order_in_memory_survives(tmp_path, suffix):
    came = read_port(recording(tmp_path, port := Layer(), f"a{suffix}")).parameters
    assert not any(x.flags.c_contiguous for x in port.parameters.values())
    assert all(x.flags.c_contiguous for x in came.values())
    assert all(np.array_equal(came[path], x) for path, x in port.parameters.items())


def test_the_library_does_write_such_a_parameter_wrongly_or_no_longer_needs_the_copy(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    x = np.arange(6.0).reshape(2, 3)
    as_safetensors.save(tmp_path / "a.safetensors", {"x": x.T})
    assert np.array_equal(library.load_file(tmp_path / "a.safetensors")["x"], x.T)


ARRAYS = [
    np.zeros((0, 3), np.float32),
    np.zeros((2, 0, 3))[..., ::2],
    np.array(np.nan),
    np.array(True),
    np.array([-0.0, np.inf, 5e-324]),
    np.array([[1 + 2j, -0.0j]]).T,
    np.array(1 - 1j, np.complex64),
    np.zeros((0, 2), np.complex128),
    np.array([2**64 - 1], np.uint64),
    np.float16([[1, 2], [3, 4]]).T,
    np.arange(3.0).astype(">f8"),
    np.broadcast_to(np.float32(2), (3, 2)),
    np.arange(6)[::-2],
]


@SUFFIXES
def test_arrays_of_every_kind_come_back(tmp_path, suffix):
    inputs = (ARRAYS, {"a": (None, 1.5, True), 3: "ü", "nan": np.float64("nan"), "-inf": -np.inf})

    class Constant(Layer):
        def run(self, call):
            return Run({str(i): x for i, x in enumerate(ARRAYS)}, {}, np.inf)

    came = read_port(recording(tmp_path, Constant(differentiates=False), f"a{suffix}", inputs=inputs))
    due = [x.astype(x.dtype.newbyteorder("=")) for x in ARRAYS]
    assert same(list(came.inputs[0]), due)
    assert came.inputs[1]["a"] == (None, 1.5, True)
    assert (came.inputs[1][3], came.inputs[1]["-inf"]) == ("ü", -np.inf)
    run = came.run(Call(came.inputs))
    assert same(list(run.outputs.values()), due)
    assert run.loss == np.inf
    assert run.gradients is None


NAMES = st.text(max_size=8) | st.sampled_from(
    ["../x", "a/b", "header", "digest", "0", "x" * 5000, "\x00", "\udc80", "file"]
)
SMALL = st.builds(
    lambda shape, dtype, fill: np.full(shape, fill).astype(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["float32", "float64", "int8", "bool", "complex64"]),
    st.integers(-3, 3),
)
RUNS = st.builds(
    Run,
    st.dictionaries(NAMES, SMALL, max_size=3),
    st.dictionaries(NAMES, NAMES, max_size=2),
    st.none() | st.floats(),
    st.lists(st.builds(Seen, NAMES, NAMES, NAMES, NAMES, SMALL, NAMES, st.none() | SMALL), max_size=3).map(
        tuple
    ),
    st.none() | st.dictionaries(NAMES, SMALL, max_size=2),
    st.dictionaries(NAMES, SMALL, max_size=2),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(NAMES, inner, max_size=2)
    ),
    max_leaves=4,
)
PORTS = st.builds(
    RecordedPort,
    framework=NAMES,
    parameters=st.dictionaries(NAMES, SMALL, max_size=3),
    buffers=st.dictionaries(NAMES, SMALL, max_size=2),
    shared=st.dictionaries(NAMES, NAMES, max_size=2),
    modules=st.dictionaries(
        NAMES, st.builds(Module, NAMES, st.dictionaries(NAMES, VALUES, max_size=3)), max_size=2
    ),
    has_loss=st.booleans(),
    differentiates=st.booleans(),
    inputs=st.tuples(st.recursive(SMALL, lambda inner: st.lists(inner, max_size=2), max_leaves=3)),
    targets=st.lists(VALUES, max_size=2).map(tuple),
    seeds=st.none() | st.lists(st.none() | SMALL, max_size=2).map(tuple),
    runs=st.lists(
        st.builds(RecordedRun, RUNS, st.booleans(), NAMES, NAMES),
        max_size=2,
    ).map(tuple),
    watched=st.booleans(),
    name=st.none() | NAMES,
    versions=st.dictionaries(NAMES, NAMES, max_size=2),
)


@given(port=PORTS)
def test_every_field_of_every_port_comes_back(tmp_path_factory, port):
    packed = pack(port)
    assert same(unpack(packed, ""), port)
    for suffix, library in files.FORMATS.items():
        pytest.importorskip(HELD[suffix])
        path = tmp_path_factory.getbasetemp() / f"field{suffix}"
        library.save(path, packed)
        assert same(unpack(library.load(path), ""), port)


def test_equal_arrays_are_kept_once(tmp_path):
    packed = pack(read_port(recording(tmp_path)))
    kept = [x.tobytes() for name, x in packed.items() if name not in ("header", "digest")]
    assert len(set(kept)) == len(kept)


def test_without_nodes_the_runs_have_none(tmp_path):
    came = read_port(recording(tmp_path, nodes=False))
    call = Call((X,), seeds=came.seeds)
    assert came.run(call).nodes == ()
    assert not came.watched
    assert same(came.run(call).gradients, Layer.run(Layer(came.parameters), call).gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_runs_that_show_the_rounding_are_recorded(tmp_path, dtype):
    port = Layer({path: x.astype(dtype) for path, x in Layer().parameters.items()})
    came = read_port(recording(tmp_path, port))
    live, recorded = (Side("port", p, came.inputs, (), seeds=came.seeds) for p in (port, came))
    assert (live.own, live.moved) != (None, None)
    for mine, due in zip((recorded.own, *recorded.moved), (live.own, *live.moved), strict=True):
        assert same(mine, due)
        assert not same(mine.outputs, live.double.outputs)


def test_a_file_of_a_file_is_the_same(tmp_path):
    first = read_port(recording(tmp_path))
    record(first, first.inputs, tmp_path / "b.npz")
    assert same(replace(read_port(tmp_path / "b.npz"), path=first.path), first)


def test_arrays_of_a_framework_are_recorded_as_they_are(tmp_path):
    torch = pytest.importorskip("torch")
    x = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.bfloat16, requires_grad=True)
    host = np.float32([[1, 2, 3]])
    assert same(read_port(recording(tmp_path, inputs=(x,))).inputs, (host,))
    half = host.astype(pytest.importorskip("ml_dtypes").bfloat16)
    assert same(read_port(recording(tmp_path, inputs=(half,))).inputs, (host,))


# Which run is meant


def asked(port, **changed):
    return port.run(replace(Call(port.inputs, port.targets, seeds=port.seeds), **changed))


def test_what_was_not_recorded_is_not_made_up(tmp_path):
    port = read_port(recording(tmp_path))
    own = {**port.parameters, **port.buffers}
    for other, changed in {
        "other inputs": {"inputs": (X + 1,)},
        "other targets": {"targets": (X,)},
        "forced nodes": {"forced": {"h": Forced(X)}},
        "other parameters": {"parameters": own | {"w": 2 * own["w"]}},
    }.items():
        with pytest.raises(NotRunnableError, match=rf"a\.npz holds 6 runs .*{other}.*needs numpy itself"):
            asked(port, **changed)
    with pytest.raises(NotRunnableError, match="step of an optimizer"):
        port.step(None, {}, {})


def test_zero_has_two_signs_and_is_the_same(tmp_path):
    zeros = np.zeros((4, 3))
    assert read_port(recording(tmp_path, inputs=(zeros,))).run(Call((-zeros,))).outputs


def test_what_was_recorded_is_known_by_its_values(tmp_path):
    port = read_port(recording(tmp_path))
    due = asked(port)
    assert due.gradients is not None
    assert same(asked(port, inputs=(np.float64(X),)), due)
    assert same(asked(port, parameters={**port.parameters, **port.buffers}), due)
    assert same(asked(port, seeds=tuple(s + 1e-12 for s in port.seeds)), due)
    assert asked(port, seeds=tuple(s + 1e-3 for s in port.seeds)).gradients is None
    assert asked(port, seeds=port.seeds[:1]).gradients is None
    forward = asked(port, seeds=None)
    assert same(forward, asked(port, forward_only=True))
    assert forward.gradients is None
    assert [node.cotangent for node in forward.nodes] == [None, None]
    assert asked(port, watched=False).nodes == ()


# Seeds


def test_equal_outputs_in_any_order_of_axes_get_equal_cotangents():
    y = np.random.default_rng(0).standard_normal((5, 7, 11, 3)) * 1e3
    for axes in permutations(range(4)):
        assert np.array_equal(seed_for(y.transpose(axes)), seed_for(y).transpose(axes))
        assert np.array_equal(seed_for(np.ascontiguousarray(y.transpose(axes))), seed_for(y).transpose(axes))


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1.0, 1e300])
def test_seeds_do_not_depend_on_the_unit(scale):
    y = np.array([1.0, -2.0, 3.0, 0.5])
    assert np.allclose(seed_for(scale * y), np.cos(2 * y / np.sqrt(np.mean(y**2)) + 1), atol=1e-3)


@pytest.mark.parametrize(
    "y", [np.zeros((2, 3)), np.zeros((0, 3)), np.float32(2), np.array([np.nan, np.inf, 1]), [1, 2]]
)
def test_every_output_gets_seeds(y):
    seeds = seed_for(y)
    assert (seeds.shape, seeds.dtype) == (np.shape(y), np.float64)
    assert np.all(np.isfinite(seeds))


# Writing


@SUFFIXES
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, suffix, monkeypatch):
    path = recording(tmp_path, file=f"a{suffix}")
    before = path.read_bytes()
    module = files.FORMATS[suffix]

    def half(beside, arrays):
        beside.write_bytes(before[:100])
        raise OSError("no space left")

    monkeypatch.setattr(module, "save", half)
    with pytest.raises(OSError, match="no space"):
        recording(tmp_path, file=f"a{suffix}")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [f"a{suffix}"]


def test_what_cannot_be_kept_is_said_before_a_file_is_written(tmp_path):
    for inputs, message in {
        "a bytes": "a bytes cannot be recorded: due arrays, numbers",
        "objects": "dtype object cannot be recorded: due numbers",
        "keys": r"the key \(1,\) cannot be recorded",
    }.items():
        odd = {"a bytes": b"x", "objects": np.array([None]), "keys": {(1,): X}}[inputs]
        with pytest.raises(TypeError, match=message):
            recording(tmp_path, inputs=(X, odd))
    with pytest.raises(ValueError, match=r"a\.pt: due a file named \*\.npz or \*\.safetensors"):
        recording(tmp_path, file="a.pt")
    assert os.listdir(tmp_path) == []


def test_without_safetensors_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    (tmp_path / "a.safetensors").write_bytes(b"")
    for act in (
        lambda: recording(tmp_path, file="b.safetensors"),
        lambda: read_port(tmp_path / "a.safetensors"),
    ):
        with pytest.raises(ImportError, match=r'pip install "gradproof\[io\]"'):
            act()


def test_reading_imports_no_framework(tmp_path):
    path = recording(tmp_path)
    code = f"""import sys
from gradproof.porting.recording.files import read_port
assert read_port({str(path)!r}).framework == "numpy"
assert not {{"torch", "jax", "flax", "safetensors", "pickle"}} - {{"pickle"}} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True)


# Files that are none


def mangled(header):
    """Arrays of a port whose header was changed, and given the digest that belongs to it."""

    def make(arrays):
        text = arrays["header"].tobytes()
        text = header(text) if isinstance(header, type(lambda: 0)) else header
        return {
            **arrays,
            "header": np.frombuffer(text, np.uint8),
            "digest": np.frombuffer(blake2b(text).digest(), np.uint8),
        }

    return make


def changed(**entries):
    return mangled(lambda text: json.dumps({**json.loads(text), **entries}).encode())


FOREIGN = {
    "header that is no JSON": (mangled(b"{"), "cannot be read"),
    "header that is a list": (mangled(b"[]"), "another program"),
    "header with NaN": (mangled(lambda text: text.replace(b'"name": null', b'"name": NaN')), "NaN, which is no JSON"),
    "header of great depth": (mangled(b"[" * 100_000), "cannot be read"),
    "header that is not UTF-8": (mangled(b'"\xff"'), "cannot be read"),
    "header with numbers without end": (mangled(b"1" * 10_000), "cannot be read"),
    "other version": (changed(version=2), "its version is 2, due 1: record it again"),
    "other format": (changed(format="else"), "another program"),
    "a field of another type": (changed(framework=3), "a int for 'framework', due a str"),
    "a field that is null": (changed(has_loss=None), "a NoneType for 'has_loss', due a bool"),
    "inputs that are a list": (changed(inputs={"list": []}), "a list for 'inputs', due a tuple"),
    "inputs that are no tree": (changed(inputs={"set": []}), "tree of 'set'"),
    "an array that is none": (changed(parameters={"w": 99}), "array 99 is missing"),
    "an array by its name": (changed(parameters={"w": "0"}), "array '0' is missing"),
    "a negative array": (changed(parameters={"w": -1}), "array -1 is missing"),
    "modules without settings": (changed(modules={"": {"kind": "A"}}), "settings"),
    "settings with an array": (changed(modules={"": {"kind": "A", "settings": {"array": 0}}}), "array 0 is missing"),
    "runs that are numbers": (changed(runs=[1]), "its header has no"),
    "no header": (lambda arrays: {name: x for name, x in arrays.items() if name != "header"}, "it has no header"),
    "no digest": (lambda arrays: {name: x for name, x in arrays.items() if name != "digest"}, "it has no header"),
    "a missing array": (lambda arrays: {name: x for name, x in arrays.items() if name != "0"}, "array 0 is missing"),
    "one array too many": (lambda arrays: {**arrays, "more": X}, "an array 'more' that its header does not name"),
    "another shape": (lambda arrays: {**arrays, "0": arrays["0"].reshape(-1)}, r"\"shape\": \[12\].*due .*\[4, 3\]"),
    "another dtype": (lambda arrays: {**arrays, "0": np.float64(arrays["0"])}, "float64.*due .*float32"),
    "other numbers": (lambda arrays: {**arrays, "0": arrays["0"] + 1}, "array 0 in it is"),
    "another header": (lambda arrays: {**arrays, "header": arrays["header"][:-1]}, "header is damaged"),
    "nothing": (lambda arrays: {}, "it has no header; its arrays are none"),
}  # fmt: skip


@SUFFIXES
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_with_another_content_is_refused(tmp_path, suffix, kind):
    change, message = FOREIGN[kind]
    path = recording(tmp_path, file=f"a{suffix}")
    library = files.FORMATS[suffix]
    library.save(path, change(library.load(path)))
    with pytest.raises(
        ValueError, match=rf"(?s)a{suffix}: due a port that gradproof recorded \(version 1\).*{message}"
    ):
        read_port(path)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(name, content, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(name, content)
    return file.getvalue()


@SUFFIXES
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a text\n",
        b"\x00" * 1000,
        b"\xff" * 8 + b"{}",
        pickle.dumps({"w": X}),
        npz(w=X),
        npz(header=np.array([{"a": 1}]), digest=X),
        zipped("a.txt", b"text"),
        zipped("header.npy", b"no array"),
        zipped("header.npy", pickle.dumps(X)),
    ],
    ids=["empty", "text", "zeros", "long", "pickle", "npz", "objects", "zip", "no-array", "pickled"],
)
def test_a_foreign_file_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"due a port that gradproof recorded"):
        read_port(path)


def test_a_pickle_is_never_loaded(tmp_path):
    class Bad:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "a.npz").write_bytes(npz(header=np.array([Bad()], dtype=object), digest=X))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_port(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


def test_a_small_file_is_not_unpacked_into_a_large_one(tmp_path):
    (tmp_path / "a.npz").write_bytes(zipped("header.npy", bytes(10**6), zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match=r"header\.npy in it is compressed"):
        read_port(tmp_path / "a.npz")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    for suffix in files.FORMATS:
        with pytest.raises(FileNotFoundError):
            read_port(tmp_path / f"none{suffix}")


@SUFFIXES
@given(data=st.data())
def test_a_damaged_file_is_refused_or_holds_the_same(tmp_path_factory, suffix, data):
    whole = damaged_from(suffix, tmp_path_factory)
    content = bytearray(whole.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1), label="at")
    if data.draw(st.booleans(), label="cut"):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255), label="flip")
    path = whole.with_name(f"damaged{suffix}")
    path.write_bytes(content)
    assert refused_or_same(path, replace(read_port(whole), path=str(path)))


def refused_or_same(path, due):
    """Whether `read` gives `due`, or a ValueError that names the file."""
    try:
        return same(read_port(path), due)
    except ValueError as error:
        return f"{path}: due a port that gradproof recorded" in str(error)


WHOLE = {}


def damaged_from(suffix, factory):
    if suffix not in WHOLE:
        WHOLE[suffix] = recording(factory.mktemp("whole"), file=f"whole{suffix}")
    return WHOLE[suffix]


@SUFFIXES
def test_bytes_of_the_directory_of_a_file_are_not_trusted(tmp_path, suffix):
    path = recording(tmp_path, file=f"a{suffix}", nodes=False)
    due, content = read_port(path), path.read_bytes()
    end = len(content)
    places = [*range(0, 200, 3), *range(end - 400, end, 3)]
    for at in places:
        for bit in (1, 0x80):
            path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
            assert refused_or_same(path, due)


# Comparing


@pytest.fixture
def compared(monkeypatch):
    """What `compare` was called with."""
    calls = []
    module = type(sys)("gradproof.porting.compare")
    module.compare = lambda ports, inputs, **options: calls.append((ports, inputs, options))
    monkeypatch.setitem(sys.modules, "gradproof.porting.compare", module)
    return calls


def test_files_are_compared_as_their_ports(tmp_path, compared):
    a, b = (
        recording(tmp_path),
        recording(tmp_path, Layer(framework="flax", transposed=True), "b.npz", inputs=(X.T,)),
    )
    compare_files(a, b, layout="given", seed=3)
    ((ports, inputs, options),) = compared
    assert {name: port.framework for name, port in ports.items()} == {"numpy": "numpy", "flax": "flax"}
    assert same(inputs, {"numpy": (X,), "flax": (X.T,)})
    assert options == {
        "targets": {"numpy": (), "flax": ()},
        "reference": "numpy",
        "layout": "given",
        "seed": 3,
    }


@pytest.mark.parametrize("reference", ["b", "path"])
def test_the_reference_is_a_port_or_a_file(tmp_path, compared, reference):
    a, b = recording(tmp_path), recording(tmp_path, file="b.npz")
    compare_files(a, b, reference=str(b) if reference == "path" else reference)
    ((ports, _, options),) = compared
    assert list(ports) == ["a", "b"]
    assert options["reference"] == "b"


def test_names_tell_files_apart(tmp_path, compared):
    a, b = recording(tmp_path, file="a.npz"), tmp_path / "sub" / "a.npz"
    b.parent.mkdir()
    record(Layer(), (X,), b)
    compare_files(a, b)
    record(Layer(), (X,), b, name="mine")
    compare_files(a, b)
    assert [list(ports) for ports, _, _ in compared] == [[str(a), str(b)], ["numpy", "mine"]]
    with pytest.raises(ValueError, match="compared with itself"):
        compare_files(a, a)
    with pytest.raises(ValueError, match="reference='c' is none of the ports: numpy, mine"):
        compare_files(a, b, reference="c")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((X, X), "has 1 inputs, .*b.npz .b. has 2"),
        (
            (X + np.float32(0.5),),
            r"inputs\[0\] of .*b.npz .b. is not that of .*a.npz: it differs by up to 0.5;",
        ),
        ((np.ones((3, 4)),), r"other numbers in every order of its axes"),
        (([1.0],), r"inputs\[0\]\[0\]|inputs\[0\]"),
        ((np.ones((5, 3)),), r"shape \(5, 3\), due \(4, 3\)"),
    ],
)
def test_files_of_other_inputs_are_refused(tmp_path, compared, inputs, message):
    port = Layer(transposed=np.shape(inputs[0]) == (3, 4))
    if isinstance(inputs[0], list):
        port = RecordedPort("numpy", {}, {}, {}, {}, False, False, inputs, (), None, ())
        files._write(as_npz, tmp_path / "b.npz", pack(port))
    else:
        recording(tmp_path, port, "b.npz", inputs=inputs)
    with pytest.raises(ValueError, match=message) as caught:
        compare_files(recording(tmp_path), tmp_path / "b.npz")
    assert re.search("record (both|them) with the same", str(caught.value))
    assert compared == []


def test_files_of_other_targets_are_refused(tmp_path, compared):
    a, b = (
        recording(tmp_path, Layer(has_loss=True), f"{t}.npz", targets=(np.full((4, 2), t),))
        for t in (1.0, 2.0)
    )
    with pytest.raises(ValueError, match=r"targets\[0\] of .*2.0.npz"):
        compare_files(a, b)


def test_the_same_inputs_in_another_dtype_are_the_same(tmp_path, compared):
    compare_files(recording(tmp_path), recording(tmp_path, file="b.npz", inputs=(np.float64(X),)))
    assert len(compared) == 1
