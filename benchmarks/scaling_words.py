"""Numbers and tables for the page of `scaling.py`."""

UNITS = (("days", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
BYTES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def figure(value: float) -> str:
    """Three digits."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """In the largest unit of which it is one or more."""
    name, size = next((unit for unit in UNITS if seconds >= unit[1]), ("ns", 1e-9))
    return f"{figure(seconds / size)} {name}"


def memory(count: float) -> str:
    """The same for bytes."""
    name, size = next((unit for unit in BYTES if count >= unit[1]), ("bytes", 1.0))
    return f"{figure(count / size)} {name}"
