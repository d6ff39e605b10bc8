"""A gradient in C, called through ctypes: the function is one line of NumPy, its fast backward pass is in `kernel.c`.

The energy of a chain of springs is a sum over neighbours. The first kernel adds every spring's force to its two ends.
The second one goes point by point and forgets the last: the usual mistake at a border. Of 100,000 entries it has one
wrong, and the check reads that one from a few hundred values of the energy.
"""

import ctypes
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from gradproof import Verdict, check

POINTS = 100_000


def energy(x, stiffness, rest):
    return stiffness / 2 * np.sum((x[1:] - x[:-1] - rest) ** 2)


def compiled(source):
    """The kernels in `source`, compiled by the system's C compiler and loaded."""
    compiler = shutil.which("cc")
    if compiler is None:
        print("skipped: there is no C compiler named cc")
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernel.so"
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        return ctypes.CDLL(str(library))


def claim(kernel):
    """A C kernel as a gradient of `energy`."""
    vector = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
    kernel.argtypes = [vector, vector, ctypes.c_long, ctypes.c_double, ctypes.c_double]
    kernel.restype = None

    def gradient(x, stiffness, rest):
        slope = np.empty_like(x)
        kernel(np.ascontiguousarray(x), slope, len(x), stiffness, rest)
        return slope

    return gradient


def check_kernel(kernel):
    report = check(energy, chain, args=(2.5, 0.9), grad=claim(kernel), sources=["numeric", "hand"])
    print(f"\n{kernel.__name__}\n{report}")
    return report


kernels = compiled(Path(__file__).with_name("kernel.c"))
chain = np.arange(POINTS) + 0.1 * np.random.default_rng(0).normal(size=POINTS)

right = check_kernel(kernels.chain_backward)
assert right.verdict is Verdict.AGREES

wrong = check_kernel(kernels.chain_backward_off_by_one)
assert wrong.verdict is Verdict.DISAGREES
assert wrong.locations[0].entries == ((POINTS - 1,),)
assert wrong.diagnoses[0].code == "GP106"
