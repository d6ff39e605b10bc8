"""A table of a page."""

from collections.abc import Iterable, Iterator


def table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """Markdown; the first column is words."""
    yield "| " + " | ".join(head) + " |"
    yield "|---" + "|--:" * (len(head) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
