"""A fresh interpreter, in which nothing is imported yet."""

import json
import os
import subprocess
import sys
from textwrap import dedent


def python(code, *path):
    """What `code` prints last, as JSON, run in a fresh interpreter that finds modules in the folders `path` too."""
    search = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, *["-O"] * sys.flags.optimize, "-W", "error", "-c", dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(search), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
