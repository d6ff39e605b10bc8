"""A PortReport in a notebook: a compact piece of HTML with styles of its own, and no script."""

__all__ = ["fragment"]

from collections.abc import Iterator
from html import escape

from gradproof.porting.record import PortReport
from gradproof.porting.report.saying import answer, divergences, help_for, ordered
from gradproof.porting.report.stages import STAGES, cell, every_stage, stages
from gradproof.porting.report.words import Ink
from gradproof.report.words import clipped, named
from gradproof.verdict import Verdict

MOST_HELPS = 4
MOST_CHARACTERS = 400

INK = Ink()

_STYLE = """
.gradproof-port{font:13px/1.5 system-ui,sans-serif;max-width:60rem;border:1px solid rgb(128 128 128/.35);
border-left:5px solid var(--gradproof-tone);border-radius:8px;padding:.7rem 1rem;overflow-wrap:anywhere;color:inherit}
.gradproof-port p{margin:0 0 .45rem}.gradproof-port .answer{font-size:1.1em;font-weight:650}
.gradproof-port .answer b{color:var(--gradproof-tone);letter-spacing:.04em;margin-right:.5em}
.gradproof-port .scroll{overflow-x:auto}
.gradproof-port table{color:inherit;border-collapse:collapse;margin:.2rem 0 .5rem;font-size:12px}
.gradproof-port th,.gradproof-port td{color:inherit;text-align:left;padding:.15rem 1rem .15rem 0;background:none;
font-family:ui-monospace,Menlo,Consolas,monospace;font-weight:400;border:0;white-space:nowrap}
.gradproof-port thead th{opacity:.7}.gradproof-port .muted{opacity:.7}
"""

_TONES = {
    Verdict.AGREES: "#1a8f4d",
    Verdict.DISAGREES: "#d43a3f",
    Verdict.UNDECIDED: "#b97a10",
    Verdict.UNSUPPORTED: "#7a8392",
}


def fragment(report: PortReport) -> str:
    """`report` as an HTML fragment: the answer, the first wrong nodes, the mistakes that explain it, the stages."""
    return "".join(
        [
            f'<div class="gradproof-port" style="--gradproof-tone:{_TONES[report.verdict]}"><style>{_STYLE}</style>',
            f'<p class="answer"><b>{report.verdict.value}</b>{_shown(answer(report))}</p>',
            *_causes(report),
            *_stages(report),
            '<p class="muted">report.show() prints it, report.to_html("port.html") writes a page with the layers</p></div>',
        ]
    )


def _shown(words: str) -> str:
    """`words` escaped, short enough, and without a character that does not print."""
    return escape(INK.spelled(clipped(words, MOST_CHARACTERS)))


def _causes(report: PortReport) -> Iterator[str]:
    for compared in ordered(report)[::-1]:
        for first in divergences(compared):
            yield f"<p>{_shown(compared.port)}: first wrong {first.direction} at <code>{_shown(first.name)}</code></p>"
        for diagnosis in compared.diagnoses[:MOST_HELPS]:
            says, correction = help_for(diagnosis)
            attempt = f"; write <code>{_shown(correction)}</code>" if correction else ""
            yield f"<p><b>{_shown(diagnosis.code)}</b> {_shown(says)}{attempt}</p>"
        if compared.undiagnosed:
            yield f"<p>{_shown(named(compared.undiagnosed, MOST_HELPS))}: no known mistake explains it</p>"


def _stages(report: PortReport) -> Iterator[str]:
    found = {name: stages(compared) for name, compared in report.compared.items()}
    heads = "".join(f"<th>{_shown(name)}</th>" for name in found)
    yield f'<div class="scroll"><table><thead><tr><th>stage</th>{heads}</tr></thead><tbody>'
    for what in every_stage(list(found.values())):
        cells = [each.get(what) for each in found.values()]
        told = [f"{INK.mark(s.verdict).plain} {'  '.join(cell(s))}" if s else "–" for s in cells]
        yield f"<tr><th>{_shown(STAGES.get(what, what))}</th>{''.join(f'<td>{_shown(words)}</td>' for words in told)}</tr>"
    yield "</tbody></table></div>"
