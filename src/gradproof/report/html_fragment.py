"""A Report in a notebook: a compact piece of HTML with styles of its own, and no script."""

__all__ = ["fragment"]

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from gradproof.report.causes import title
from gradproof.report.ending import answer
from gradproof.report.leaves import cell
from gradproof.report.view import EVERYTHING, Order, View
from gradproof.report.words import Pen, clipped, in_short, more
from gradproof.verdict import Diagnosis, Verdict

if TYPE_CHECKING:
    from gradproof.report.record import Report

MOST_LEAVES = 8
MOST_CHARACTERS = 200

PEN = Pen()

_STYLE = """
.gradproof-report{font:13px/1.5 system-ui,sans-serif;max-width:60rem;border:1px solid rgb(128 128 128/.35);
border-left:5px solid var(--gradproof-tone);border-radius:8px;padding:.7rem 1rem;overflow-wrap:anywhere;color:inherit}
.gradproof-report.good{--gradproof-tone:#1a8f4d}.gradproof-report.bad{--gradproof-tone:#d43a3f}
.gradproof-report.unsure{--gradproof-tone:#b97a10}.gradproof-report.none{--gradproof-tone:#7a8392}
.gradproof-report p{margin:0 0 .45rem}.gradproof-report .answer{font-size:1.1em;font-weight:650}
.gradproof-report .answer b{color:var(--gradproof-tone);letter-spacing:.04em;margin-right:.5em}
.gradproof-report .scroll{overflow-x:auto}
.gradproof-report table{color:inherit;border-collapse:collapse;margin:.2rem 0 .5rem;font-size:12px}
.gradproof-report th,.gradproof-report td{color:inherit;text-align:left;padding:.15rem 1rem .15rem 0;background:none;
font-family:ui-monospace,Menlo,Consolas,monospace;font-weight:400;border:0;white-space:nowrap}
.gradproof-report thead th{opacity:.7;font-family:inherit}
.gradproof-report tbody th{font-weight:650;white-space:normal}
.gradproof-report .muted{opacity:.7}
"""

_TONES = {
    Verdict.AGREES: "good",
    Verdict.DISAGREES: "bad",
    Verdict.UNDECIDED: "unsure",
    Verdict.UNSUPPORTED: "none",
}


def fragment(report: "Report") -> str:
    """`report` as an HTML fragment: the answer, the worst leaves, the mistakes that explain it, the sources."""
    order = Order(report)
    view = View(order, PEN, 10**6, EVERYTHING)
    name, _, words = answer(view).plain.partition("  ")
    parts = [
        f'<div class="gradproof-report {_TONES[report.verdict]}"><style>{_STYLE}</style>',
        f'<p class="answer"><b>{_shown(name)}</b>{_shown(words)}</p>',
        *(
            f"<p><b>{_shown(title(d))}</b>: {_shown(_sentence(d))}{_attempt(d.correction)}</p>"
            for d in order.simplest[:4]
        ),
        *_leaves(order),
        *_sources(report),
        '<p class="muted">report.show() prints it, report.to_html("report.html") writes a page with maps</p></div>',
    ]
    return "".join(parts)


def _shown(words: str) -> str:
    """`words` escaped, short enough, and without a character that does not print."""
    return escape(PEN.spelled(clipped(words, MOST_CHARACTERS)))


def _sentence(diagnosis: Diagnosis) -> str:
    says = diagnosis.says
    return says if says.startswith(diagnosis.source) else f"{diagnosis.source} {says}"


def _attempt(correction: str) -> str:
    return f"; try <code>{_shown(correction)}</code>" if correction else ""


def _leaves(order: Order) -> Iterator[str]:
    """The worst leaves, one verdict each."""
    shown = order.leaves[::-1][:MOST_LEAVES]
    yield '<div class="scroll"><table><thead><tr><th>leaf</th><th>shape</th><th>dtype</th><th>worst of all comparisons</th></tr></thead><tbody>'
    for path in shown:
        shape, dtype = order.report.leaves[path]
        found = order.findings.get(path, [])
        yield f"<tr><th>{_shown(path)}</th><td>{_shown(str(shape))}</td><td>{_shown(dtype)}</td><td>{_shown(cell(PEN, found).plain)}</td></tr>"
    yield "</tbody></table></div>"
    if hidden := len(order.leaves) - len(shown):
        yield f'<p class="muted">{more(hidden, "leaf", "leaves")}, none worse than those shown</p>'


def _sources(report: "Report") -> Iterator[str]:
    yield '<div class="scroll"><table><thead><tr><th>source</th><th>verdict</th><th>evaluations</th><th></th></tr></thead><tbody>'
    for source in report.sources.values():
        verdict = PEN.mark(source.verdict, source.verdict.value).plain
        words = "the claim" if source.name == report.claim else in_short(source.reason)
        yield f"<tr><th>{_shown(source.name)}</th><td>{_shown(verdict)}</td><td>{source.calls or ''}</td><td>{_shown(words)}</td></tr>"
    yield "</tbody></table></div>"
