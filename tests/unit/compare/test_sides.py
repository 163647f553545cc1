"""Who may be compared: versions of several bases, models behind a URL, sides that fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
from servers import answering
from tiny_models import build_tiny_adapter
from versions import log_version
from workers import worker_app

from llmops import flavor
from llmops.compare import compare, compare_all, standings
from llmops.compare.answers.engines import Engines
from llmops.engine.local.engine import LocalEngine
from llmops.errors import DataError, LlmopsError, UsageError
from llmops.models.resolve import resolve
from llmops.recipe.schema import Compare, Requirement
from llmops.records import RemoteModel
from llmops.store import connection, registry

SCORERS = ["token_f1", "regex:[aeiou]"]
CONFIG = Compare(max_tokens=6, method="fixed")


def suite_of(path: Path, prompts: list[str], expected: str | None = "Return it.") -> Path:
    rows = [
        {"id": f"q{i}", "prompt": prompt, **({"expected": expected} if expected else {})}
        for i, prompt in enumerate(prompts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return suite_of(tmp_path / "test.jsonl", [f"Split {i}." for i in range(20)])


@pytest.fixture
def bot(store: str, tiny_model: Path, tiny_adapter: Path) -> str:
    base = flavor.add_base(tiny_model, "tiny")
    with mlflow.start_run():
        return log_version(tiny_adapter, base, "bot").uri


@pytest.fixture
def three(bot: str, tiny_model: Path, tmp_path: Path) -> list[str]:
    """The version and two more of the same base, one of another registered model."""
    uris = [bot]
    for seed, name in ((5, "bot"), (6, "other")):
        with mlflow.start_run():
            adapter = build_tiny_adapter(tiny_model, tmp_path / f"a{seed}", seed=seed)
            uris.append(log_version(adapter, "tiny", name).uri)
    return uris


def test_a_model_behind_a_url_answers_like_the_version_it_serves(bot: str, suite: Path) -> None:
    files = resolve(bot)
    app = worker_app(LocalEngine([files]), files, "bot/1", "bot", key=None)
    with answering(app) as address:
        uri = f"openai:{address}/v1#bot"
        found = compare("tiny", uri, suite, CONFIG, scorers=SCORERS)
    here = compare("tiny", bot, suite, CONFIG, scorers=SCORERS)
    assert isinstance(found.candidate, RemoteModel)
    assert [row.candidate.text for row in found.rows] == [row.candidate.text for row in here.rows]
    assert found.metrics == here.metrics
    assert found.nll is None
    child = connection.client().get_run(found.child_run_ids[1])
    assert child.info.run_name == "bot"
    assert child.data.params["model"] == uri


def test_a_side_that_is_named_twice(three: list[str], suite: Path) -> None:
    registry.set_alias("bot", "champion", "1")
    alias = "models:/bot@champion"
    for baseline, candidates in ((three[0], [*three[1:], alias]), ("tiny", [alias, three[0]])):
        with pytest.raises(UsageError, match="are the same side, models:/bot/1: name it once"):
            compare_all(baseline, candidates, suite, CONFIG, scorers=SCORERS)


def test_a_question_that_no_scorer_answers(bot: str, suite: Path) -> None:
    question = Requirement(metric="token_f1", must="improve")
    with pytest.raises(UsageError, match="about 'token_f1': no scorer has this name; available: f"):
        compare("tiny", bot, suite, CONFIG, scorers=["f=token_f1"], questions=[question])


def test_a_likelihood_behind_a_url_cannot_be_had(bot: str, suite: Path) -> None:
    with pytest.raises(UsageError, match="returns answers only, not their likelihood") as caught:
        compare(bot, "openai:http://127.0.0.1:9/v1#bot", suite, CONFIG)
    assert "--scorer token_f1" in (caught.value.next_command or "")


@pytest.mark.parametrize("uri", ["openai:bot", "openai:ftp://x#bot", "openai:http://x"])
def test_an_endpoint_written_otherwise(bot: str, suite: Path, uri: str) -> None:
    with pytest.raises(UsageError, match="expected openai:URL#MODEL"):
        compare(bot, uri, suite, CONFIG, scorers=SCORERS)


def test_a_server_that_always_fails_is_an_error_not_a_verdict(bot: str, suite: Path) -> None:
    async def down(scope: dict[str, str], receive: object, send: object) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 400, "headers": []})  # type: ignore[operator]
            await send({"type": "http.response.body", "body": b"{}"})  # type: ignore[operator]

    with answering(down) as address:
        uri = f"openai:{address}/v1#bot"
        with pytest.raises(LlmopsError, match="not even a probe: Error code: 400") as caught:
            compare(bot, uri, suite, CONFIG, scorers=SCORERS)
    assert caught.value.exit_code == 1
    assert not connection.client().search_runs(["0"], "tags.`llmops.kind` = 'ab'")


def test_a_server_that_ends_in_the_middle_is_an_error_not_a_verdict(
    bot: str, tmp_path: Path
) -> None:
    suite = suite_of(tmp_path / "many.jsonl", [f"Split {i}." for i in range(40)])
    files = resolve(bot)
    serves = worker_app(LocalEngine([files]), files, "bot/1", "bot", key=None)
    is_up, answered = True, 0

    async def ending(scope: Any, receive: Any, send: Any) -> None:
        nonlocal is_up, answered
        if scope["type"] != "http":
            await serves(scope, receive, send)
        elif is_up:
            answered += 1
            is_up = answered != 4
            await serves(scope, receive, send)
        else:
            headers = [(b"x-should-retry", b"false")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})

    with answering(ending) as address:
        uri = f"openai:{address}/v1#bot"
        with pytest.raises(LlmopsError, match="not even a probe") as caught:
            compare(bot, uri, suite, CONFIG, scorers=SCORERS)
        assert caught.value.exit_code == 1
        assert not connection.client().search_runs(["0"], "tags.`llmops.kind` = 'ab'")
        is_up = True
        found = compare(bot, uri, suite, CONFIG, scorers=SCORERS)
    assert len(found.rows) == 40
    assert answered == 40, "what was answered before the server ended is kept"


def test_what_fails_in_this_process_fails_for_good(bot: str) -> None:
    files, remote = resolve(bot), RemoteModel("m", "openai:http://127.0.0.1:9/v1#m", "digest")
    assert Engines([files], 1).is_final(files)
    assert not Engines([files], 1, "vllm").is_final(files), "its server may do better next time"
    assert not Engines([files, remote], 1).is_final(remote)


def test_a_prompt_that_one_side_cannot_read_counts_as_its_worst(
    bot: str, tiny_model: Path, tmp_path: Path
) -> None:
    # The candidate's own template repeats the prompt, so that one is too long for its context.
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = "{% for i in range(4) %}{{ messages[-1]['content'] }} {% endfor %}"
    with mlflow.start_run():
        adapter = build_tiny_adapter(tiny_model, tmp_path / "long", seed=8)
        long = log_version(adapter, "tiny", "bot", tokenizer=tokenizer).uri
    prompts = [*(f"Split {i}." for i in range(19)), "word " * 60]
    found = compare(bot, long, suite_of(tmp_path / "one.jsonl", prompts), CONFIG, scorers=SCORERS)
    last = found.rows[-1]
    assert last.baseline.error is None
    assert "but the model's context is 512" in str(last.candidate.error)
    assert set(last.candidate_scores.values()) == {0.0}
    assert found.metrics[0].test.n == 20
    assert any(
        "v2 did not answer 1 of 20 prompts, which count as the worst" in n for n in found.notes
    )
    assert any("v2: uses its own tokenizer, chat template or generation" in n for n in found.notes)


def test_a_prompt_that_no_side_can_read_is_left_out_and_counted(bot: str, tmp_path: Path) -> None:
    prompts = [*(f"Split {i}." for i in range(19)), "word " * 600]
    suite = suite_of(tmp_path / "one.jsonl", prompts)
    found = compare("tiny", bot, suite, CONFIG, scorers=SCORERS)
    assert len(found.rows) == 20
    assert found.metrics[0].test.n == 19
    assert "1 of 20 prompts were answered by neither side and are left out" in found.notes
    too_many = suite_of(
        tmp_path / "many.jsonl", [*(f"Split {i}." for i in range(8)), "word " * 600]
    )
    with pytest.raises(LlmopsError, match="neither side answered 1 of 9 prompts, more than 10%"):
        compare("tiny", bot, too_many, CONFIG, scorers=SCORERS)


def test_without_expected_answers_other_scorers_work(bot: str, tmp_path: Path) -> None:
    suite = suite_of(tmp_path / "bare.jsonl", [f"Split {i}." for i in range(12)], None)
    found = compare("tiny", bot, suite, CONFIG, scorers=["regex:[aeiou]"])
    assert found.nll is None
    assert found.metrics[0].test.n == 12


def test_several_candidates_in_one_sitting(three: list[str], suite: Path) -> None:
    together = compare_all("tiny", three, suite, CONFIG)
    for uri, found in zip(three, together, strict=True):
        alone = compare("tiny", uri, suite, CONFIG)
        assert found.rows == alone.rows
        for many, one in zip(found.metrics, alone.metrics, strict=True):
            assert many.test.difference == one.test.difference
            assert many.test.low <= one.test.low <= one.test.high <= many.test.high
    assert [one.candidate.label for one in together] == ["bot/1", "bot/2", "other/1"]
    assert len({one.run_id for one in together}) == 1
    ranked = standings(together)
    assert sorted(one.side.label for one in ranked) == ["base", "bot/1", "bot/2", "other/1"]
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    for one in ranked:
        if one.result is not None and one.p_holm is not None:
            assert one.p_holm >= one.result.test.p_value
    children = connection.client().search_runs(
        [together[0].experiment_id], f"tags.mlflow.parentRunId = '{together[0].run_id}'"
    )
    assert {child.info.run_name for child in children} == {"tiny", "bot/1", "bot/2", "other/1"}


def test_repeats_are_kept_apart(bot: str, suite: Path) -> None:
    config = Compare(max_tokens=6, method="fixed", temperature=1.5, repeats=3)
    found = compare("tiny", bot, suite, config)
    assert [row.example.id for row in found.rows[18:22]] == ["q18", "q19", "q0~2", "q1~2"]
    assert found.metrics[0].test.n == 60
    assert found.metrics[0].test.clusters == 20
    said = {tuple(row.candidate.text for row in found.rows[i::20]) for i in range(20)}
    assert any(len(set(texts)) > 1 for texts in said)
    assert compare("tiny", bot, suite, config).rows == found.rows


def test_without_the_cache_everything_is_generated_anew_and_nothing_kept(
    bot: str, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = LocalEngine.answer

    def counting(self: LocalEngine, requests: list[object], **options: object) -> object:
        asked.append(len(requests))
        return real(self, requests, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalEngine, "answer", counting)
    compare("tiny", bot, suite, CONFIG, cache=False)
    first = compare("tiny", bot, suite, CONFIG)
    again = compare("tiny", bot, suite, CONFIG, cache=False)
    assert asked == [40, 40, 40]
    assert again.rows == first.rows


def test_what_a_side_was_trained_on_is_shown_and_not_counted(
    bot: str, tiny_model: Path, tmp_path: Path
) -> None:
    # The training run keeps its split: two of its prompts are in the suite, one in other words.
    text = "Split the long list of all the parts of the path into a first and a second half {}."
    prompts = [*(f"{'w' * i} {i} Join {i}." for i in range(1, 15)), text.format(1), text.format(2)]
    with mlflow.start_run():
        mlflow.log_text(
            json.dumps({"prompt": text.format(1), "completion": "Return two parts."}) + "\n",
            "data/train.jsonl",
        )
        adapter = build_tiny_adapter(tiny_model, tmp_path / "trained", seed=9)
        trained = log_version(adapter, "tiny", "bot").uri
    suite = suite_of(tmp_path / "leaky.jsonl", prompts)
    found = compare(bot, trained, suite, CONFIG)
    assert [row.example.id for row in found.trained] == ["q14", "q15"]
    assert found.metrics[0].test.n == len(found.rows) == 14
    assert any(
        "2 of 16 prompts are in the training data of models:/bot/2" in n for n in found.notes
    )
    assert any("token_f1 without them:" in note and "; with them:" in note for note in found.notes)
    turned = compare(trained, bot, suite, CONFIG)
    assert len(turned.trained) == 2, "a baseline that was trained on it is unfair too"
    only = suite_of(tmp_path / "only.jsonl", prompts[-2:])
    with pytest.raises(DataError, match="too few prompts are left to compare"):
        compare(bot, trained, only, CONFIG)


def test_results_by_slice(bot: str, tmp_path: Path) -> None:
    path = tmp_path / "sliced.jsonl"
    rows = [
        {"id": f"q{i}", "prompt": f"Split {i}.", "expected": "x", "slice.topic": "ab"[i % 2]}
        for i in range(24)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = compare("tiny", bot, path, CONFIG, scorers=["regex:[aeiou]"])
    assert [(one.key, one.value, one.n) for one in found.slices] == [
        ("topic", "a", 12),
        ("topic", "b", 12),
    ]
