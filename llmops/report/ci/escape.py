"""Foreign text in Markdown that GitHub and GitLab render: shown as it is, and it never acts.

Besides markup, text could mention people (``@name``), refer to issues (``#1``, ``!1``), become a link, run
a quick action of GitLab (a line that begins with ``/``), or, printed to a log, be a workflow command of
GitHub (``::error::``). Line breaks never survive, so no text begins a line.
"""

from __future__ import annotations

import html
import re

from llmops.report.markdown import escape
from llmops.report.wording import ELLIPSIS, clean, visible

BREAK = "\u200b"
"""Zero-width space: invisible, and no mention, reference, address or command goes across it."""

_ACTS = re.compile(r"(?<=[@#!%])(?=[\w\"])|(?<=:)(?=//|:)|(?<=\bwww)(?=\.)|(?<=#)(?=\#|\[)", re.I)


def inline(text: str, limit: int = 200) -> str:
    """Return foreign text as one line of Markdown, for a sentence or a table cell.

    Args:
        text: Any text.
        limit: Most characters of the text before it is escaped.
    """
    return _ACTS.sub(BREAK, escape(clean(text, limit)))


def block(text: str, limit: int) -> str:
    """Return foreign text with its line breaks as one line of HTML, for a cell of an HTML table.

    In ``<code>`` neither GitHub nor GitLab looks for mentions and references.

    Args:
        text: Any text.
        limit: Most characters of the text before it is escaped.
    """
    spelled = visible(text[:limit])
    cut = len(text) > limit or len(spelled) > limit
    shown = spelled[:limit].rstrip() + (ELLIPSIS if cut else "")
    safe = html.escape(_ACTS.sub(BREAK, shown)).replace("\t", " ").replace("\n", "<br>")
    return f"<code>{safe}</code>" if safe else "<i>empty</i>"
