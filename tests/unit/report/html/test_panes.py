"""The switch: which metrics it has, in which order."""

from __future__ import annotations

from report_records import METRICS, comparison, metric

from llmops.report.html.panes import MOST, further, panes


def test_the_leading_metric_comes_first_and_has_the_most_examples() -> None:
    made = comparison()
    found = panes(made, None, made.metric("likelihood"))
    assert [pane["metric"] for pane in found] == ["likelihood", "token F1", "ROUGE-L", "one line"]
    cards = [sum(len(shelf.cards) for shelf, _ in pane["shelves"]) for pane in found]
    assert cards[0] > max(cards[1:])
    assert len(found) == len(METRICS)


def test_what_has_no_room_is_named() -> None:
    made = comparison([metric(f"m{i}", -0.1, 0.0, 0.1) for i in range(40)], shown=())
    first = made.metrics[3]
    assert len(panes(made, None, first)) == MOST
    assert further(made, first).startswith("m6, m7")
    assert further(made, first).endswith("and 14 more")
    assert further(comparison(), comparison().metrics[0]) == ""
