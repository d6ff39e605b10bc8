"""The port of a plain function over numpy arrays, or those of any namespace, with a backward pass written by hand."""

__all__ = ["NumpyFunctionPort"]

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from gradproof.arrays import HostArray, dtype_name, is_array, is_floating
from gradproof.backend import backend_for, load
from gradproof.porting.functions_tape import HandTape
from gradproof.porting.port import Call, Module, Run, checked_leaves
from gradproof.porting.tap import taping
from gradproof.trees import ROOT, flatten, leaves_by_path

OUTPUT = "(output)"

Tree = Any


class NumpyFunctionPort:
    """`fun(params, *inputs)` as a Port: values are seen where it calls `tap(name, x)`.

    `vjp(params, *inputs, cotangent)` is its backward pass: `cotangent` is like the output, the gradient it returns like
    `params` (buffers and what is no number may be left out). What it computes on its way is seen where it calls
    `tap_cotangent(name, g)`; where it goes back in steps it goes on with what that returns. A forward pass inside it has
    to call the same taps: they count once. Without a vjp the port gives no gradients.

    `loss(output, *targets)` is a scalar, `loss_grad(output, *targets)` its gradient, like the output; a port with a vjp
    and a loss needs both. `buffers` are the paths of those leaves of params that are not trained; the function may
    change them in place (running statistics). Every call gets fresh copies of everything.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        params: Tree,
        *,
        vjp: Callable[..., Any] | None = None,
        loss: Callable[..., Any] | None = None,
        loss_grad: Callable[..., Any] | None = None,
        buffers: Collection[str] | None = None,
    ) -> None:
        if loss_grad is not None and loss is None:
            raise ValueError("loss_grad is the gradient of a loss: give loss= too, or neither")
        if vjp is not None and loss is not None and loss_grad is None:
            raise ValueError(
                "the vjp starts from the gradient of the loss with respect to the output: give loss_grad="
            )
        self._fun, self._vjp, self._loss, self._loss_grad = fun, vjp, loss, loss_grad
        self.has_loss = loss is not None
        self.differentiates = vjp is not None
        self._name = getattr(fun, "__name__", type(fun).__name__)
        self.modules = {"": Module(self._name)}
        self._take(params, set(buffers or ()))
        self.framework = self._backend.name

    def _take(self, params: Tree, untrained: set[str]) -> None:
        leaves, self._structure = flatten(params)
        if unknown := sorted(untrained - set(self._structure.paths)):
            raise ValueError(
                f"there is no {unknown[0]!r} in params; there are {', '.join(self._structure.paths)}"
            )
        named = dict(zip(self._structure.paths, leaves, strict=True))
        self._backend = next((backend_for(x) for x in leaves if is_array(x)), None) or load("numpy")
        first: dict[int, str] = {}
        self._source = {
            path: first.setdefault(id(x), path) if is_array(x) else path for path, x in named.items()
        }
        self._leaves = {path: _host(x) if is_array(x) else x for path, x in named.items()}
        self._dtypes = {path: dtype_name(x) for path, x in named.items() if is_array(x)}
        numbers = [path for path, x in named.items() if _is_number(path, x)]
        self.shared = {path: self._source[path] for path in numbers if self._source[path] != path}
        own = [path for path in numbers if path not in self.shared]
        self.parameters = {path: self._leaves[path] for path in own if path not in untrained}
        self.buffers = {path: self._leaves[path] for path in own if path in untrained}

    def run(self, call: Call, /) -> Run:
        """Forward, and backward where there is a vjp and the call asks for it."""
        tape = HandTape(call.forced, self._backend)
        watching = call.watched or bool(call.forced)
        with _surroundings(
            self._backend.double_precision if call.double else None, tape if watching else None
        ):
            return self._run(call, tape, watching)

    def _run(self, call: Call, tape: HandTape, watching: bool) -> Run:
        own = next((self._dtypes[path] for path in (*self.parameters, *self.buffers)), None)
        dtype = "float64" if call.double else own
        inputs, targets = self._fresh(call.inputs, dtype), self._fresh(call.targets, dtype)
        if watching:
            inputs = tape.see_all(inputs, role="input", kind=self._name)
        kept = self._fresh(inputs, None)
        params = self._params(call)
        output = self._fun(params, *inputs)
        if watching:
            output = tape.see_all(output, role="output", kind=self._name)
            tape.forward_is_over()
        outputs = _outputs(output)
        values, dtypes = _hosts(outputs), {path: dtype_name(x) for path, x in outputs.items()}
        loss = None if self._loss is None else _scalar(self._loss(output, *targets))
        buffers = dict(zip(self._structure.paths, flatten(params)[0], strict=True))
        gradients = None
        if self._vjp is not None and not call.forward_only and (self.has_loss or call.seeds is not None):
            cotangent = self._cotangent(call, output, targets)
            cotangent = tape.arrive_all(cotangent) if watching else cotangent
            gradients = self._gradients(self._vjp(self._params(call), *kept, cotangent))
        return Run(
            outputs=values,
            dtypes=dtypes,
            loss=loss,
            nodes=tape.nodes if call.watched else (),
            gradients=gradients,
            buffers=_hosts({path: buffers[path] for path in self.buffers}),
        )

    def step(
        self, optimizer: Any, parameters: Mapping[str, HostArray], gradients: Mapping[str, HostArray], /
    ) -> dict[str, HostArray]:
        """Parameters after `optimizer(parameters, gradients)`, a function of two dicts by path, in float64."""
        if not callable(optimizer):
            raise TypeError(
                f"the optimizer is a {type(optimizer).__name__}: give a function (parameters, gradients) -> parameters"
            )
        with _surroundings(self._backend.double_precision, None):
            before, slopes = (
                {path: self._backend.from_numpy(x, dtype="float64") for path, x in leaves.items()}
                for leaves in (parameters, gradients)
            )
            after = optimizer(before, slopes)
            if not isinstance(after, Mapping) or set(after) != set(parameters):
                came = (
                    ", ".join(map(str, after)) if isinstance(after, Mapping) else f"a {type(after).__name__}"
                )
                raise ValueError(f"the optimizer returned {came}; due parameters: {', '.join(parameters)}")
            return {path: _host(after[path]) for path in parameters}

    def filled(self, leaves: Mapping[str, HostArray], /) -> Tree:
        """The tree of params with these parameters and buffers; the others are copies."""
        own = {**self.parameters, **self.buffers}
        new = {**own, **checked_leaves(leaves, own, self.shared)}
        return self._params(Call((), double=False, parameters=new))

    def _params(self, call: Call) -> Tree:
        """Fresh parameters of one call."""
        leaves = {**self._leaves, **self._checked(call.parameters)}
        fresh = {
            path: self._backend.from_numpy(x, dtype=self._dtype(path, call.double))
            if path in self._dtypes
            else x
            for path, x in leaves.items()
        }
        return self._structure.unflatten([fresh[self._source[path]] for path in self._structure.paths])

    def _dtype(self, path: str, double: bool) -> str:
        own = self._dtypes[path]
        return "float64" if double and "float" in own else own

    def _checked(self, given: Mapping[str, HostArray] | None) -> dict[str, HostArray]:
        due = {**self.parameters, **self.buffers}
        if given is None:
            return due
        if unknown := sorted(set(given) - set(due) - set(self.shared)):
            raise ValueError(f"there is no parameter or buffer {unknown[0]!r}; there are {', '.join(due)}")
        for path, x in due.items():
            if path not in given:
                raise ValueError(f"{path!r} is missing: every parameter and buffer is due")
            if np.shape(given[path]) != x.shape:
                raise ValueError(f"{path!r} has shape {x.shape}, and one of {np.shape(given[path])} came")
        return {path: given[path] for path in due}

    def _fresh(self, tree: Tree, dtype: str | None) -> Tree:
        """`tree` with fresh arrays: floating ones in `dtype` (None: their own), others as they are."""
        leaves, structure = flatten(tree)
        return structure.unflatten(
            self._backend.from_numpy(_host(x), dtype=(dtype if is_floating(x) else None) or dtype_name(x))
            if is_array(x)
            else x
            for x in leaves
        )

    def _cotangent(self, call: Call, output: Tree, targets: tuple[Any, ...]) -> Tree:
        """What the backward pass starts from, like the output."""
        leaves, structure = flatten(output)
        if self._loss_grad is not None:
            found = _matched("loss_grad", self._loss_grad(output, *targets), structure.paths, structure.paths)
            seeds: list[HostArray | None] = [found[path] for path in structure.paths]
        else:
            seeds = list(call.seeds or ())
        if len(seeds) != len(leaves):
            raise ValueError(
                f"{len(seeds)} seeds came for {len(leaves)} outputs: {', '.join(structure.paths)}"
            )
        for path, x, seed in zip(structure.paths, leaves, seeds, strict=True):
            if seed is not None and np.shape(seed) != tuple(x.shape):
                raise ValueError(
                    f"output {_named(path)!r} has shape {tuple(x.shape)}, its cotangent {np.shape(seed)}"
                )
        pairs = zip(leaves, seeds, strict=True)
        return structure.unflatten(
            self._backend.from_numpy(
                np.zeros(x.shape) if seed is None or not is_floating(x) else seed, dtype=dtype_name(x)
            )
            for x, seed in pairs
        )

    def _gradients(self, claim: Tree) -> dict[str, HostArray]:
        """By path, those of shared arrays added up. Raises ValueError for another structure or shape."""
        due = [*self.parameters, *(path for path, of in self.shared.items() if of in self.parameters)]
        found = _matched("vjp", claim, self._structure.paths, due)
        gradients: dict[str, HostArray] = {}
        for path in due:
            of, gradient = self.shared.get(path, path), found[path]
            if gradient.shape != self.parameters[of].shape:
                raise ValueError(
                    f"vjp returned a gradient of shape {gradient.shape} for {path!r}, due {self.parameters[of].shape}"
                )
            gradients[of] = gradients[of] + gradient if of in gradients else gradient
        return gradients


@contextmanager
def _surroundings(precision: Callable[[], Any] | None, tape: HandTape | None) -> Iterator[None]:
    with ExitStack() as stack:
        if precision is not None:
            stack.enter_context(precision())
        if tape is not None:
            stack.enter_context(taping(tape))
        yield


def _matched(what: str, tree: Tree, known: Collection[str], due: Collection[str]) -> dict[str, HostArray]:
    """Leaves of `tree` by path, all `due` and none but `known` ones. Raises ValueError for another structure."""
    found = leaves_by_path(tree)
    missing, extra = (
        [path for path in due if path not in found],
        [path for path in found if path not in known],
    )
    if missing or extra:
        wrong = f"nothing for {missing[0]!r}" if missing else f"something for {extra[0]!r}"
        raise ValueError(
            f"{what} returned {wrong}: it has {', '.join(found) or 'no leaves'}, due {', '.join(due)}"
        )
    return {path: _number(what, path, x) for path, x in found.items()}


def _number(what: str, path: str, x: Any) -> HostArray:
    if is_array(x):
        return _host(x)
    if isinstance(x, int | float):
        return np.asarray(x, dtype=np.float64)
    raise ValueError(f"{what} returned a {type(x).__name__} for {path!r}: an array is due")


def _is_number(path: str, x: Any) -> bool:
    if is_array(x) and "complex" in dtype_name(x):
        raise TypeError(
            f"{path!r} is {dtype_name(x)}: complex numbers are not compared, split it into real parts"
        )
    return is_array(x) and is_floating(x)


def _named(path: str) -> str:
    """An output, as it is called in a Run."""
    return OUTPUT if path == ROOT else path


def _outputs(output: Tree) -> dict[str, Any]:
    leaves, structure = flatten(output)
    for path, x in zip(structure.paths, leaves, strict=True):
        if not is_array(x):
            raise TypeError(
                f"the port returned a {type(x).__name__} at {_named(path)!r}: return arrays, or a tree of them"
            )
        _is_number(f"output {path}", x)
    return {_named(path): x for path, x in zip(structure.paths, leaves, strict=True)}


def _scalar(loss: Any) -> float:
    shape = tuple(getattr(loss, "shape", ()))
    if shape or not (is_array(loss) or isinstance(loss, int | float)):
        came = f"an array of shape {shape}" if shape else f"a {type(loss).__name__}"
        raise ValueError(f"loss returned {came}: a scalar is due, its mean or sum")
    return float(loss)


def _host(x: Any) -> HostArray:
    host: HostArray = backend_for(x).to_numpy(x) if is_array(x) else np.array(x, dtype=np.float64)
    return host


def _hosts(named: Mapping[str, Any]) -> dict[str, HostArray]:
    return {path: _host(x) for path, x in named.items()}
