"""The catalogue of mistakes: a stable code for each, what it is, what usually causes it, and what to look at."""

__all__ = ["CODES", "Code", "explain"]

from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of mistake."""

    code: str
    title: str
    means: str
    """What the difference looks like."""
    causes: str
    """What usually makes it so."""
    remedy: str
    """What to look at, or to do."""

    def __str__(self) -> str:
        return f"{self.code}  {self.title}\n\n{self.means}\nUsual cause: {self.causes}\nWhat to do: {self.remedy}"


_ALL = (
    Code("GP101", "constant factor", "The gradient is a constant multiple of the right one, in one leaf or in all.",
         "a factor of the objective (1/2, 2, a temperature) that was not carried through; a term counted twice; a derivative of "
         "x² written as x.",
         "Follow the named factor through the backward pass; multiply by the fitted number's inverse to see it agree."),
    Code("GP102", "wrong sign", "The gradient is the negative of the right one, in one leaf or in all.",
         "target − output where output − target was due; a minus of 1 − x, log or a quotient that was lost; maximising "
         "where a loss is minimised.",
         "Look for a subtraction in the order of its terms, and for a minus that an inner derivative brings."),
    Code("GP103", "transposed, or axes permuted",
         "The right numbers stand in another order of the axes, or were unrolled in another order (rows for columns).",
         "aᵀ·delta for deltaᵀ·a; a reshape where a transpose was due; column-major order (MATLAB, Fortran) read as row-major.",
         "Compare the shapes that meet in the product; a reshape never transposes."),
    Code("GP104", "factor that is a size", "The gradient is off by a factor that is the length of an axis: m, 1/m, (m − 1)/m.",
         "a mean in the function and a sum in its gradient, or the other way round; dividing twice; n − 1 for n.",
         "Look at how the function reduces over that axis, and divide exactly once."),
    Code("GP105", "reduction over an axis missing", "Summed over its surplus axes, the claim has the parameter's shape and agrees.",
         "a parameter that was broadcast (a bias over the batch): its gradient is summed over the axes it was broadcast along.",
         "Sum over the broadcast axis (not the mean)."),
    Code("GP106", "zero where it should not be", "The claim is exactly zero in entries that move the function; the rest agrees.",
         "a path that was detached or stopped (detach, stop_gradient, .data, a cast to integers); a buffer that was made and "
         "never filled; an index off by one; a dead branch.",
         "Look for where the gradient of these entries is assigned."),
    Code("GP107", "not zero where the function does not move",
         "Entries that do not move the function have a gradient; the rest agrees.",
         "padding, masked or unused parameters that a broadcast product fills; an alias of another buffer.",
         "Apply the mask to the gradient too."),
    Code("GP108", "one slice or block only",
         "Everything agrees but one row, column, channel or block.",
         "the first or last element of a loop or recurrence; a bias column treated as a weight; a boundary or padding term; "
         "one gate of a fused matrix.",
         "Look at what the code does differently for this index."),
    Code("GP109", "another convention at a kink",
         "The sources differ only where the function has a kink, and each lies between the one-sided slopes.",
         "|x|, max, clip or a norm at the very point of the kink: every framework takes another subgradient there.",
         "Nothing is wrong. Move the point a little to compare the rest."),
    Code("GP111", "lower precision inside", "The gradient is right to the digits of float32 (or float16), and no further.",
         "a constant, buffer or cast in lower precision; JAX without jax_enable_x64; torch's default dtype.",
         "Look for a dtype that is written down: np.float32, .float(), torch.tensor(0.1)."),
    Code("GP112", "not the same twice", "Asked twice at one point, the gradient differs.",
         "dropout, sampling, an unseeded generator, an atomic sum on a GPU.",
         "Fix the seed inside, or switch the randomness off for the check."),
    Code("GP113", "input changed in place", "The function or the gradient changed its own input.",
         "an in-place operation (+=, out=, clip_) on an argument.", "Work on a copy inside."),
    Code("GP114", "accumulates", "Every call returns a larger multiple of the first answer.",
         "a buffer that is added to and never cleared (a missing zero_grad).", "Clear the buffer at the start of every call."),
    Code("GP115", "stale", "The gradient belongs to the point at which the function was evaluated last, not to its own.",
         "a forward pass that is cached, and read by a backward pass at other parameters.",
         "Run the forward pass inside the claim, or pass value_and_grad=."),
    Code("GP116", "another function", "The value already differs: the gradient is that of another function.",
         "another formula, constant, or branch; integer division; a default that differs between frameworks.",
         "Make the values agree before the gradients are looked at."),
    Code("GP117", "structure, shape or dtype", "The claim is not an array like the parameter.",
         "a scalar where an array is due, a squeezed axis, a missing leaf, a cast.", "Return one array per leaf, of its shape and dtype."),
    Code("GP118", "not finite", "The claim is NaN or infinite where the function is finite.",
         "0/0, 0·inf or log(0) in the derivative where the function itself is safe: a norm at 0, where() with an unsafe branch.",
         "Make the branch that is not taken safe too (the double-where)."),
    Code("GP119", "another leaf's gradient", "The claim holds the gradient of another parameter.",
         "two leaves returned in the wrong order; a copied line in which one name was not changed.",
         "Compare the order of the returned leaves with params."),
    Code("GP120", "entries in other places", "The right numbers, shifted, reversed or exchanged.",
         "an index off by one, a roll, a scatter with the wrong index, a convolution not flipped, a Fourier transform not conjugated.",
         "Write down index 0 and 1 by hand and follow them."),
    Code("GP121", "multiple of the parameters missing or surplus",
         "The claim agrees once a multiple of the parameters is added: a regularisation term.",
         "L2 regularisation left out, applied twice, without its factor (lambda/m), or applied to the bias as well.",
         "Compare the penalty in the function with the term in the gradient, leaf by leaf."),
    Code("GP122", "chain-rule factor of the parameter",
         "The gradient is off, entry by entry, by a function of the parameter itself.",
         "a gradient in θ where the parameter is log θ (or the reverse); the derivative of exp, sigmoid or tanh left out or taken twice.",
         "Check in which variable the gradient is taken."),
    Code("GP123", "a few entries", "All entries agree but those that are named.",
         "a special case in the code: a boundary, a diagonal, an index that occurs twice and is assigned instead of added to.",
         "Look at what is special about these indices."),
    Code("GP124", "factor that is one of the constants",
         "The gradient is off, entry by entry, by one of the arrays in args (a mask, weights).",
         "a mask or weight that is applied in the function and not in its gradient, or twice.",
         "Multiply by it where the function does, once."),
    Code("GP125", "one layer of the backward pass",
         "The derivative in the sums of one layer is the first, from the loss backwards, that is wrong.",
         "the activation's derivative left out or taken at another place, a weight not transposed, the loss's residual.",
         "Look at the one step of the backward pass that leads to this layer."),
    Code("GP126", "the same value along an axis",
         "Along an axis every entry holds the mean (or sum) of the right ones.",
         "a reduction that is one too many, its result broadcast back.",
         "Reduce only over the axes that the parameter was broadcast along."),
    Code("GP127", "constant added", "The claim agrees once a constant is taken from every entry.",
         "a term that is linear in the parameters counted twice, or missing; an epsilon in the wrong place.",
         "Look for the derivative of a sum of the parameters."),
    Code("GP128", "clipped or normalised", "Entries beyond a bound are cut to it, or the whole was scaled to a norm.",
         "gradient clipping inside the gradient's own code.", "Clip after the check, in the optimiser."),
    Code("GP129", "cotangent ignored or misread", "The pull-back does not scale with its cotangent, or depends on its memory layout.",
         "a vjp that returns the gradient for a cotangent of ones; a kernel that assumes contiguous memory.",
         "Multiply by the cotangent; make it contiguous first."),
    Code("GP130", "a term left out", "The claim is the gradient of the function with one of its constants set to zero.",
         "a term of the objective (a penalty, an auxiliary loss) that the gradient does not have.",
         "Differentiate the term that this constant multiplies."),
)  # fmt: skip

CODES: dict[str, Code] = {code.code: code for code in _ALL}
"""All codes."""


def explain(code: str) -> Code:
    """What a code of a Diagnosis stands for. Raises ValueError for an unknown one."""
    name = code.strip().upper()
    if name not in CODES:
        near = get_close_matches(name, CODES, n=1)
        hint = f"; did you mean {near[0]}" if near else ""
        raise ValueError(f"unknown code {code!r}{hint}? Known: {', '.join(CODES)}")
    return CODES[name]
