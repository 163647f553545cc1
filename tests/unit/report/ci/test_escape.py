"""Foreign text in Markdown of GitHub and GitLab."""

from __future__ import annotations

import pytest

from llmops.report.ci.escape import BREAK, block, inline

ACTS = [
    "@ann",
    "see #12",
    "!7",
    "acme/bot#3",
    "https://evil.example/x",
    "www.evil.example",
    "::error::x",
    "a::set-output name=x::y",
    '%"v1"',
    "##[error]x",
]


@pytest.mark.parametrize("text", ACTS)
def test_nothing_refers_mentions_links_or_commands(text: str) -> None:
    for shown in (inline(text), block(text, 100)):
        assert BREAK in shown
        for part in ("@ann", "#12", "!7", "#3", "://evil", "www.evil", "::error", "::set", "##["):
            assert part not in shown
    assert BREAK not in inline("a plain text, 5% more: +3.1 (95% CI)")


def test_no_text_begins_a_line_or_ends_a_cell() -> None:
    shown = inline("a\n/merge\n# head | cell\n```x")
    assert "\n" not in shown
    assert "\\|" in shown
    assert "\\`\\`\\`" in shown


def test_a_block_is_one_line_of_html_without_markup_of_its_own() -> None:
    shown = block("<b>x</b>\n\n/close\t|", 100)
    assert shown == "<code>&lt;b&gt;x&lt;/b&gt;<br><br>/close |</code>"
    assert block("", 100) == "<i>empty</i>"
    assert block("x" * 500, 100) == f"<code>{'x' * 100}…</code>"
    assert "⟨U+202E⟩" in block("safe\u202etxt", 100)
