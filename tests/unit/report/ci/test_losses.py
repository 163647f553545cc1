"""The five prompts with the largest loss, side by side."""

from __future__ import annotations

from report_records import comparison, row

from llmops.report.ci.losses import largest_losses
from llmops.report.wording import typeset


def test_the_largest_losses_come_first_and_five_are_shown() -> None:
    shown = largest_losses(comparison(), "token_f1")
    assert shown.startswith("**v3 loses on 6 prompts, the largest 5** (token F1):\n\n<table>")
    counted = [shown.count(typeset(text)) for text in ("<tr><td>", "-0.500", "-0.400", "-0.100")]
    assert counted == [5, 2, 1, 0]
    assert "<td><code>Return the time of a file.</code></td>" in shown
    assert "" not in shown.splitlines()[2:], "an empty line would end the table"


def test_without_a_loss_there_is_nothing_to_show() -> None:
    ties = [row(1, "a", "b", (0.5, 0.5)), row(2, "a", "b", (0.5, 0.9))]
    assert largest_losses(comparison(shown=ties), "token_f1") == ""
    assert largest_losses(comparison(), "unknown") == ""
    one = largest_losses(comparison(shown=[row(1, "", "\n\nb", (1.0, 0.0))]), "token_f1")
    assert one.startswith("**v3 loses on 1 prompt** (token F1):")
    assert "<i>empty</i>" in one
    assert "<br><br>b" in one
