"""The order of modules, written down once: a module imports only from those before it."""

import ast
import sys
from pathlib import Path

import pytest

import gradproof

ORDER = (
    # Words, trees and code on the caller's own arrays: they know nothing of backends, sources or checks.
    "arrays", "trees", "verdict", "codes.code", "codes.gradients", "codes.ports", "codes", "initializers", "activations", "losses", "nodes", "network",
    "problems.record", "problems.curves", "problems.blocks", "problems",
    "progress.meter", "progress", "progress.bar",
    # Work in blocks, anywhere.
    "engine.shipping", "engine.gathering", "engine.cluster", "engine.pools", "engine.workers", "engine",
    # Frameworks.
    "backend", "conformance", "sizes", "point", "recast",
    # The reference network, entry by entry.
    "structured",
    # Derivatives from function values.
    "numeric.stencils", "numeric.probe", "numeric.bundles", "numeric.line", "numeric.windows", "numeric.ladder", "numeric.pieces", "numeric.climb", "numeric.short", "numeric.kinks", "numeric.sampling", "numeric.elsewhere", "numeric.complex_step", "numeric.entrywise", "numeric.trial", "numeric.rows", "numeric.batched", "numeric.networks", "numeric.differences", "numeric",
    # Derivatives that are computed.
    "sources.claim", "sources.contracts", "sources.exact", "sources.rounding", "sources.testimony", "sources.hearing", "sources",
    # Verdicts.
    "judging.compare", "judging.bands", "judging.inward", "judging.parts", "judging.probed", "judging.reader", "judging.confirm", "judging.outputs", "judging.probes", "judging.screen", "judging.certify", "judging.looks", "judging.referee", "judging.attribute", "judging",
    "options", "config",
    # Where a wrong gradient is wrong, and which mistake it is.
    "locating.scope", "locating.entries", "locating.readings", "locating.search", "locating.patterns", "locating.locate", "locating",
    "diagnosing.names", "diagnosing.judges", "diagnosing.case", "diagnosing.guesses", "diagnosing.fits", "diagnosing.flattened", "diagnosing.partial", "diagnosing.contracts", "diagnosing.terms", "diagnosing.layers", "diagnosing.diagnose", "diagnosing.suspect", "diagnosing.grounds", "diagnosing.together", "diagnosing",
    "inquiry",
    # One Report, then its views.
    "report.record", "report", "report.words", "report.view", "report.schema", "report.schema_grid", "report.plots_contrast", "report.schema_arrays", "report.schema_probes", "report.schema_check", "report.json_text", "report.plain", "report.schema_reader", "report.rows", "report.leaves", "report.causes", "report.blocks", "report.ending", "report.terminal", "report.difference", "report.plots_scale", "report.plots", "report.html_png", "report.html_maps", "report.html_charts", "report.html_leaves", "report.html_page", "report.html", "report.html_fragment",
    # The door.
    "writing", "examination", "check", "guard",
    "testing.choices", "testing.checker", "testing.summary", "testing",
    # The checker checked.
    "faults.claims", "faults.fault", "faults.factors", "faults.terms", "faults.entries", "faults.places", "faults.forms", "faults.behaviour", "faults.backward", "faults",
    "proving.record", "proving.trials", "proving.leaves", "proving.constants", "proving.walk", "proving", "proving.terminal",
    # Many checks.
    "sweeping.record", "sweeping.journal", "sweeping.fingerprints", "sweeping.cases", "sweeping.walk", "sweeping", "sweeping.terminal",
    # One function in several frameworks.
    "porting.alignment", "porting.comparing", "porting.comparing.bars", "porting.layouts", "porting.layouts.grains", "porting.layouts.layout", "porting.layouts.as_json", "porting.layouts.names", "porting.layouts.origins", "porting.layouts.strides", "porting.layouts.transferring", "porting.layouts.words", "porting.port", "porting.comparing.picks", "porting.comparing.sides", "porting.comparing.referee", "porting.problem", "porting.record", "porting.seeds", "porting.stretch", "porting.tap", "porting.functions_tape", "porting.functions", "porting.doors", "porting.views", "porting.alignment.likeness", "porting.alignment.align", "porting.comparing.against", "porting.comparing.blame", "porting.comparing.findings", "porting.comparing.lasting", "porting.comparing.precision", "porting.comparing.stages", "porting.comparing.outcome", "porting.comparing.stretches", "porting.comparing.together", "porting.layouts.blocks", "porting.layouts.fillings", "porting.layouts.groups", "porting.layouts.plain", "porting.layouts.readings", "porting.layouts.recurrent", "porting.layouts.guesses", "porting.layouts.leftovers", "porting.layouts.steady", "porting.layouts.tried", "porting.layouts.trials", "porting.layouts.values", "porting.layouts.inference", "porting.causes.cells", "porting.causes.evidence", "porting.causes.bases", "porting.causes.cell_weights", "porting.causes.exchanges", "porting.causes.groupings", "porting.causes.heads", "porting.causes.attention_form", "porting.causes.linear", "porting.causes.masks", "porting.causes.numbers", "porting.causes.activations", "porting.causes.dropping", "porting.causes.kinks", "porting.causes.norm_form", "porting.causes.norms", "porting.causes.orders", "porting.causes.placements", "porting.causes.precision", "porting.causes.copies", "porting.causes.projections", "porting.causes.recurrent", "porting.causes.residuals", "porting.causes.roundings", "porting.causes.scales", "porting.causes.backward", "porting.causes.softmaxes", "porting.causes.attention", "porting.causes.losses", "porting.causes.outputs", "porting.causes.state", "porting.causes.steps", "porting.causes.tables", "porting.causes.windows", "porting.causes.geometry", "porting.causes.convolutions", "porting.causes.pooling", "porting.causes.forward", "porting.causes", "porting.comparing.grounds", "porting.compare", "porting.recording", "porting.recording.as_npz", "porting.recording.as_safetensors", "porting.recording.recorded", "porting.recording.stored_values", "porting.recording.stored", "porting.recording.files", "porting", "porting.report", "porting.report.schema", "porting.report.plain", "porting.report.reader", "porting.report.sheets", "porting.report.words", "porting.report.stages", "porting.report.stage_sheet", "porting.report.tree", "porting.report.saying", "porting.report.html", "porting.report.html_fragment", "porting.report.tree_sheet", "porting.report.terminal",
    # What is told with it.
    "course", "demo", "bench",
    # The public listing, and the command line.
    "gradproof", "cli.exits", "cli.targets", "cli.finding", "cli.leaves", "cli.failures", "cli.settings", "cli.writing", "cli.running", "cli.port_targets", "cli.porting", "cli.checking", "cli.proofs", "cli.frameworks", "cli.explaining", "cli.timing", "cli.differing", "cli", "__main__",
)  # fmt: skip
"""Names below `gradproof`; "gradproof" itself is `__init__`."""

LAZY = {
    "report.record": {
        "report.html", "report.html_fragment", "report.plain", "report.plots", "report.schema_reader", "report.terminal",
    },
    "proving.record": {"proving.terminal"},
    "progress.meter": {"progress.bar"},
    "sweeping.record": {"sweeping.journal", "sweeping.terminal"},
    "porting.layouts.layout": {"porting.layouts.as_json", "porting.layouts.words"},
    "porting.record": {
        "porting.report.html", "porting.report.html_fragment", "porting.report.plain", "porting.report.reader", "porting.report.terminal",
    },
}  # fmt: skip
"""Imports against the order, inside functions: a Report or a Proof loads a view of itself when it is asked for one."""

OUTSIDE = {"array_api_compat", "numpy", "optree", "rich", "_gradproof_cli"}
"""What the core depends on, besides the standard library; the last is the command line's own door."""

OF_EXTRAS = {
    "report.html": {"jinja2"},
    "report.html_page": {"jinja2", "markupsafe"},
    "report.plots": {"matplotlib"},
    "report.record": {"matplotlib"},  # for the type of a plot only
    "engine.shipping": {"cloudpickle"},
    "engine.cluster": {"distributed"},
    "engine.pools": {"loky"},
    "engine.workers": {"loky"},
    "porting.report.html": {"jinja2"},
    "porting.recording.as_safetensors": {"safetensors"},
}
"""What single modules import when they are asked for a view that needs it."""

CORE = Path(gradproof.__file__).parent
BACKENDS = Path(__file__).parents[1] / "backends"


def modules():
    """{name below gradproof: source} of the core."""
    files = {file.relative_to(CORE).with_suffix(""): file.read_text() for file in sorted(CORE.rglob("*.py"))}
    return {_name(path.parts): text for path, text in files.items()}


def _name(parts):
    return ".".join(part for part in parts if part != "__init__") or "gradproof"


def imported(source):
    """(full name of a module or of something in it, whether inside a function) for every import in `source`."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((f"{module}.{alias.name}", id(node) in inside) for alias in node.names)


def layer(name):
    """Module of the core that `name` is, or is in."""
    below = name.removeprefix("gradproof.").split(".")
    candidates = [".".join(below[:length]) for length in range(len(below), 0, -1)]
    return next((candidate for candidate in candidates if candidate in ORDER), "gradproof")


def against_the_order(module, source):
    """Modules of the core that `module`, with this `source`, imports and must not."""
    allowed = set(ORDER[: ORDER.index(module)])
    return [
        layer(name)
        for name, inside_a_function in imported(source)
        if name.split(".")[0] == "gradproof"
        and layer(name) not in allowed | (LAZY.get(module, set()) if inside_a_function else set())
    ]


def outside(source, allowed):
    """Packages that `source` imports and that are neither `allowed` nor in the standard library; "" is a relative one."""
    packages = {name.split(".")[0] for name, _ in imported(source)}
    return packages - set(allowed) - sys.stdlib_module_names


def core_names(source):
    """Modules of the core that `source` imports from."""
    return {layer(name) for name, _ in imported(source) if name.split(".")[0] == "gradproof"}


def adapters():
    """Names of files and folders beside our adapters, the adapters included."""
    return [path for path in BACKENDS.iterdir() if path.name != "__pycache__"]


def shadowing(names):
    """Those that would hide a framework from whoever has the folder on the path: all but `gradproof_*`."""
    return [name for name in names if not name.startswith("gradproof_")]


def test_the_order_names_every_module_once():
    assert sorted(ORDER) == sorted(modules())


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_from_those_before_it(module):
    assert against_the_order(module, modules()[module]) == []


@pytest.mark.parametrize("module", ORDER)
def test_the_core_imports_no_framework(module):
    assert outside(modules()[module], {"gradproof", *OUTSIDE, *OF_EXTRAS.get(module, ())}) == set()


PORTS = {
    "gradproof_torch": {"torch"},
    "gradproof_jax": {"jax"},
    "gradproof_flax": {"flax", "jax"},
    "gradproof_equinox": {"equinox", "jax"},
}
"""What the files that make ports (`gradproof_torch_port`, and those beside it) import: their frameworks, and each other."""


def port_files():
    """Files among the adapters that are no backend of their own."""
    backends = {"gradproof_numpy", "gradproof_jax", "gradproof_torch"}
    return [file for file in adapters() if file.stem not in backends]


@pytest.mark.parametrize(
    "file", [file for file in adapters() if file not in port_files()], ids=lambda file: file.name
)
def test_an_adapter_imports_its_framework_and_the_backend_protocol(file):
    framework = file.stem.removeprefix("gradproof_")
    assert outside(file.read_text(), {framework, "array_api_compat", "numpy", "gradproof"}) == set()
    assert core_names(file.read_text()) == {"backend"}


@pytest.mark.parametrize("file", port_files(), ids=lambda file: file.name)
def test_what_makes_a_port_imports_its_frameworks_and_what_a_port_is(file):
    (frameworks,) = [needed for name, needed in PORTS.items() if file.stem.startswith(f"{name}_")]
    beside = {file.stem for file in adapters()}
    assert outside(file.read_text(), {*frameworks, *beside, "numpy", "gradproof"}) == set()
    assert core_names(file.read_text()) <= {"arrays", "trees", "backend", "porting.port", "porting.tap"}


def test_nothing_among_the_adapters_is_named_after_a_framework():
    assert shadowing(file.name for file in adapters()) == []


# The probes notice


@pytest.mark.parametrize(
    ("source", "layer"),
    [
        ("import gradproof.check", "check"),
        ("from gradproof.check import check", "check"),
        ("from gradproof import check", "check"),
        ("from gradproof import Report", "gradproof"),
        ("import gradproof", "gradproof"),
        ("from gradproof.numeric import Line", "numeric"),
        ("from gradproof.numeric.line import Line", "numeric.line"),
        ("def f():\n    from gradproof.report.terminal import render", "report.terminal"),
        ("class A:\n    def f(self):\n        import gradproof.cli", "cli"),
        ("from gradproof.trees import flatten", "trees"),
    ],
)
def test_the_probe_notices_an_import_against_the_order(source, layer):
    assert against_the_order("trees", source) == [layer]


def test_the_probe_lets_the_order_pass():
    assert against_the_order("point", "from gradproof.trees import flatten\nimport numpy") == []


def test_a_lazy_import_has_to_be_inside_a_function():
    line = "from gradproof.report.terminal import render"
    assert against_the_order("report.record", f"def f():\n    {line}") == []
    assert against_the_order("report.record", line) == ["report.terminal"]


@pytest.mark.parametrize(
    ("source", "package"),
    [("import torch", "torch"), ("def f():\n    from jax import numpy", "jax"), ("from . import trees", "")],
)
def test_the_probe_notices_a_framework(source, package):
    assert outside(source, {"gradproof", *OUTSIDE}) == {package}


def test_the_probe_notices_an_adapter_that_uses_more_of_the_core():
    assert core_names("from gradproof.backend import Backend\nfrom gradproof.arrays import Array") == {
        "backend",
        "arrays",
    }


@pytest.mark.parametrize("name", ["jax.py", "torch", "numpy.py"])
def test_the_probe_notices_a_shadow(name):
    assert shadowing([name, "gradproof_jax.py"]) == [name]
