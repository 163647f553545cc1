"""The record of a comparison: what is added to it once its figures are known."""

from __future__ import annotations

from typing import Any

import mlflow
from chat_servers import replying
from report_records import comparison, row, rows

from llmops.compare import compare
from llmops.compare.results import with_trained, with_trajectories
from llmops.recipe.schema import Compare
from llmops.report import comparison_table, html_report


def test_trajectories_are_of_the_first_metric_and_of_the_first_question() -> None:
    made = comparison(trajectories=())
    assert [one.metric for one in with_trajectories(made, "token_f1").trajectories] == ["token_f1"]
    found = with_trajectories(made, "likelihood")
    assert [one.metric for one in found.trajectories] == ["token_f1", "likelihood"]
    assert found.trajectory("likelihood").points[-1].prompts == len(rows())
    assert found.trajectory("rouge_l").points == ()


def test_prompts_that_were_trained_on_are_shown_and_change_no_figure() -> None:
    made = comparison()
    leaked = [row(50, "a", "b", (0.0, 1.0)), row(51, "a", "b", (0.0, 1.0))]
    found = with_trained(made, leaked)
    assert found.trained == tuple(leaked)
    assert (found.metrics, found.rows) == (made.metrics, made.rows)
    assert found.notes[:-1] == made.notes
    assert found.notes[-1].startswith("token_f1 without them: 0.500 and ")


def test_many_metrics_are_noted_as_not_adjusted_for_one_another(store: str) -> None:
    mlflow.set_experiment("metrics")
    suite = [{"prompt": f"Who reads meter {i}?", "expected": "Anna"} for i in range(4)]
    scorers = ["exact", "token_f1", "rouge_l", "chrf"]
    config = Compare(method="fixed", traces=False)
    with (
        replying(lambda _: reply("Anna", "stop")) as right,
        replying(lambda _: reply("Bert", "stop")) as wrong,
    ):
        uris = f"openai:{wrong}#wrong", f"openai:{right}#right"
        four = compare(*uris, suite, config, scorers=scorers)
        three = compare(*uris, suite, config, scorers=scorers[:3])
    said = [[note for note in found.notes if "not adjusted" in note] for found in (four, three)]
    assert said == [
        ["4 metrics, each tested on its own: p and CI are not adjusted for one another"],
        [],
    ]
    assert f"Note: {said[0][0]}" in comparison_table(four)
    assert said[0][0] in html_report(four)


def reply(content: str | None, reason: str, **more: Any) -> tuple[int, object]:
    message = {"role": "assistant", "content": content, **more}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def test_a_model_that_spends_its_tokens_on_reasoning_is_noted(store: str) -> None:
    mlflow.set_experiment("reasoning")
    suite = [{"prompt": f"Who reads meter {i}?", "expected": "Anna"} for i in range(12)]
    thought = reply(None, "length", reasoning_content="Let me think")
    with (
        replying(lambda _: reply("Anna", "stop")) as plain,
        replying(lambda _: thought) as thinker,
    ):
        uris = (f"openai:{plain}#plain", f"openai:{thinker}#thinker")
        config = Compare(max_tokens=8, method="fixed", traces=False)
        found = compare(*uris, suite, config, scorers=["exact"])
    (note,) = [note for note in found.notes if "empty" in note]
    assert "plain 0 of 12 (0%), thinker 12 of 12 (100%); the token limit" in note
