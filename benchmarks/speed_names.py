"""What the columns of `speed.py` are called: the page is made, and tested, without the checkers themselves."""

LOOP = "course's loop"
CHECK_GRAD, APPROX = "scipy check_grad", "scipy approx_fprime"
NUMDIFFTOOLS = "numdifftools"
SLOW, FAST = "torch slow", "torch fast"
JAX, AUTOGRAD = "jax check_grads", "autograd check_grads"
ALL = (LOOP, CHECK_GRAD, APPROX, NUMDIFFTOOLS, SLOW, FAST, JAX, AUTOGRAD)

OURS = "gradproof"
STRUCTURED, BY_HAND = "structured", "NumPy, by hand"
OF_ENTRY, OF_LARGEST = "of the entry", "of the largest"
"""To what an error is relative: to the entry itself, or to the largest entry of the gradient."""
