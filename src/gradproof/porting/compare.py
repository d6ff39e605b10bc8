"""The door: `compare`."""

__all__ = ["compare"]

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gradproof.arrays import HostArray, is_array
from gradproof.backend import backend_for, unknown
from gradproof.porting.comparing.against import Against, OutputPair, output_pairs
from gradproof.porting.comparing.outcome import Asked, compared_of
from gradproof.porting.comparing.sides import Side
from gradproof.porting.comparing.stages import held
from gradproof.porting.comparing.together import report_of
from gradproof.porting.port import Port
from gradproof.porting.record import PortReport
from gradproof.porting.seeds import seed_for
from gradproof.progress import meter_for
from gradproof.trees import flatten
from gradproof.verdict import Verdict

MAY_BE_IGNORED = ("buffer", "parameter", "precision", "step")
"""Without outputs, values on the way and gradients nothing would be compared."""

RUNS = 8
"""Of a port whose parameters are the reference's already."""


def compare(  # noqa: PLR0913 -- one question, and what it may be asked with
    ports: Mapping[str, Port],
    inputs: tuple[Any, ...] | Mapping[str, tuple[Any, ...]],
    *,
    targets: tuple[Any, ...] | Mapping[str, tuple[Any, ...]] = (),
    reference: str | None = None,
    layout: Any = None,
    optimizers: Mapping[str, Any] | None = None,
    ignore: Collection[str] = (),
    diagnose: bool = True,
    numeric: bool = True,
    seed: int = 0,
    progress: Any = False,
) -> PortReport:
    """Whether every port computes what the reference does: values, gradients, layer by layer; and if not, where and why.

    Compared are, in this order: inputs, parameters, outputs, loss, every value on the way, every gradient on the way, the
    parameters' gradients, what is kept without being trained (running statistics), the parameters after a step of an
    optimizer if there are `optimizers`, and the rounding of the ports' own precision. The bars are what rounding did to
    each port, seen by running it in float64 and in its own dtype; there is no tolerance.

    `ports` are two or more, by name: `torch_port`, `flax_port`, `equinox_port`, `function_port`, or one that `read_port` took from a
    file. `inputs` are arrays (NumPy's, or of any framework), the same for all; or by name of the port, where one wants NCHW and
    another NHWC. `targets`, what the ports' losses take beside the output, likewise. `reference` names the port that the others are
    compared with; by default it is the first.

    `layout` says where the parameters come from (a Layout, a dict {path: path}, a file of `Layout.to_json`; or such by name of the
    port), where it is not to be found out by value, and else by shape, name and behaviour. `optimizers` are given by name of the port.
    Torch: a function of the list of parameters; JAX: an optax transformation; NumPy: a function of two dicts, parameters and
    gradients, that returns the parameters. `ignore` names stages that are not judged: "buffer" where a framework has no such
    convention, "parameter", "precision", "step".

    `diagnose`: whether to look for the mistake. `numeric`: whether finite differences decide between gradients that differ where
    the values agree. `seed`: of everything that is drawn. `progress`: True for a bar on standard error, or a function that is told.

    Raises ValueError for fewer than two ports, unknown names, or a loss that only some of them have; LayoutError for a
    layout that does not fit; and what a port raises in its run, with a note that says which.
    """
    name = _reference(ports, reference)
    sides = _sides(ports, inputs, targets)
    _admit(sides, optimizers, ignore)
    ours = sides.pop(name)
    with meter_for(progress, "compare", RUNS * len(ports), unit="runs") as meter:
        ours.meter = meter
        _seed(ours)
        against = {}
        for port, side in sides.items():
            side.meter = meter
            against[port] = _against(ours, side, _given(layout, port, ports), seed)
        asked = Asked(optimizers, frozenset(ignore))
        return _judged(ours, against, asked, diagnose=diagnose, numeric=numeric, seed=seed)


def _judged(
    ours: Side,
    against: Mapping[str, Against],
    asked: Asked,
    *,
    diagnose: bool,
    numeric: bool,
    seed: int,
) -> PortReport:
    from gradproof.porting.comparing.grounds import diagnosed  # noqa: PLC0415 -- thirty modules that `import gradproof` can do without

    found = {
        port: compared_of(one, asked, diagnose=diagnosed if diagnose else None)
        for port, one in against.items()
    }
    return report_of(ours, against, found, numeric=numeric, seed=seed)


def _reference(ports: Mapping[str, Port], reference: str | None) -> str:
    known: Any = ports
    if not isinstance(known, Mapping) or len(known) < 2:
        got = f"{len(known)}" if isinstance(known, Mapping) else f"a {type(known).__name__}"
        raise ValueError(
            f"compare needs two ports or more, by name: {{'torch': torch_port(…), …}}; got {got}"
        )
    for name, port in known.items():
        if not all(hasattr(port, member) for member in ("run", "parameters", "has_loss")):
            due = "torch_port(module), flax_port(model), equinox_port(model), function_port(fun, params) or read_port(file)"
            raise TypeError(f"ports[{name!r}] is a {type(port).__name__}; due: {due}")
    if reference is None:
        return next(iter(ports))
    if reference not in ports:
        raise ValueError(unknown("port", reference, list(ports)))
    return reference


def _sides(ports: Mapping[str, Port], inputs: Any, targets: Any) -> dict[str, Side]:
    return {
        name: Side(name, port, _own(inputs, name, ports, "inputs"), _own(targets, name, ports, "targets"))
        for name, port in ports.items()
    }


def _own(given: Any, name: str, ports: Mapping[str, Port], what: str) -> tuple[Any, ...]:
    """What one port is given. A bare array is one input."""
    if isinstance(given, Mapping):
        for key in given:
            if key not in ports:
                raise ValueError(f"{what}: {unknown('port', str(key), list(ports))}")
        if name not in given:
            raise ValueError(f"{what} are given by port, and there are none for {name!r}")
        given = given[name]
    several = tuple(given) if isinstance(given, tuple | list) else (given,)
    leaves, structure = flatten(list(several))
    return tuple(structure.unflatten([_on_host(leaf) for leaf in leaves]))


def _on_host(leaf: Any) -> Any:
    return backend_for(leaf).to_numpy(leaf) if is_array(leaf) else leaf


def _admit(sides: Mapping[str, Side], optimizers: Mapping[str, Any] | None, ignore: Collection[str]) -> None:
    if isinstance(ignore, str):
        raise TypeError(f"ignore takes several stages: ignore=({ignore!r},)")
    for stage in ignore:
        if stage not in MAY_BE_IGNORED:
            raise ValueError(unknown("stage", stage, MAY_BE_IGNORED))
    losses = {name: side.port.has_loss for name, side in sides.items()}
    if len(set(losses.values())) > 1:
        without = ", ".join(name for name, has in losses.items() if not has)
        raise ValueError(
            f"some ports have a loss and {without} has none: give all of them one (loss=…), or none"
        )
    if optimizers is not None:
        _admit_optimizers(list(sides), optimizers)


def _admit_optimizers(names: list[str], optimizers: Mapping[str, Any]) -> None:
    for name in optimizers:
        if name not in names:
            raise ValueError(f"optimizers: {unknown('port', str(name), names)}")
    for name in names:
        if name not in optimizers:
            raise ValueError(f"optimizers are given by port, and there is none for {name!r}")


def _given(layout: Any, port: str, ports: Mapping[str, Port]) -> Any:
    """The layout of one port, if one is given."""
    by_port = isinstance(layout, Mapping) and bool(layout) and set(layout) <= set(ports)
    return layout.get(port) if by_port else layout


def _seed(side: Side) -> None:
    if not side.port.has_loss:
        side.seeds = tuple(seed_for(x) for x in side.first.outputs.values())


def _against(ours: Side, side: Side, given: Any, seed: int) -> Against:
    """The pair, ready to run."""
    from gradproof.porting.layouts.inference import as_layout, infer_layout  # noqa: PLC0415 -- as above

    if given is None:
        layout, transferred = infer_layout(ours.counted, side.counted, ours.inputs, side.inputs, seed=seed)
    else:
        layout = as_layout(given, ours.port, side.port)
        due = layout.apply(ours.all_leaves)
        transferred = not all(_holds(path, x, ours, side) for path, x in due.items())
    due = layout.apply(ours.all_leaves)
    if (
        not transferred
    ):  # those that it holds, but for the rounding of its dtype, are the reference's to the last digit
        due = {path: x for path, x in due.items() if _holds(path, x, ours, side)}
    side.take({**side.all_leaves, **due})
    outputs = output_pairs(ours.first, side.first)
    if not side.port.has_loss:
        side.seeds = _seeds_like(ours, side, outputs)
    return Against(ours, side, layout, outputs, transferred)


def _seeds_like(ours: Side, side: Side, outputs: Sequence[OutputPair]) -> tuple[HostArray | None, ...]:
    """The reference's seeds, for the port's outputs."""
    seeds = dict(zip(ours.first.outputs, ours.seeds or (), strict=False))
    viewed: dict[str, HostArray] = {}
    for pair in outputs:
        seed = seeds.get(pair.reference)
        if pair.view is not None and seed is not None:
            viewed[pair.port] = pair.view.of(seed)
    return tuple(viewed.get(path) for path in side.first.outputs)


def _holds(path: str, due: HostArray, ours: Side, side: Side) -> bool:
    """Whether a parameter of the port is the reference's already, to the digits of the shorter dtype."""
    return held(due, side.all_leaves[path], max(ours.roundoff, side.roundoff)).verdict is Verdict.AGREES
