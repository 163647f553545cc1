from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sides import CONVERSATIONS, GREEDY, generate, score

from llmops.engine import Request
from llmops.engine.chat_format import ChatFormat
from llmops.engine.local.engine import LocalEngine
from llmops.errors import UsageError
from llmops.records import ModelFiles

TEMPLATE = "{% for message in messages %}# {{ message['content'] }}\n{% endfor %}>"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    return folder


def with_own(side: ModelFiles, own: Path) -> ModelFiles:
    return replace(side, adapter_digest=f"{side.adapter_digest}+", tokenizer_dir=own)


def test_a_side_may_bring_its_template_alone(tuned: ModelFiles, own: Path) -> None:
    (own / "chat_template.jinja").write_text(TEMPLATE)
    side = with_own(tuned, own)
    engine = LocalEngine([tuned, side])
    assert engine.chat_format(side).render(CONVERSATIONS[2]) == "# x\n>"
    assert engine.render(CONVERSATIONS[2]) == engine.chat_format(tuned).render(CONVERSATIONS[2])
    assert engine.render(CONVERSATIONS[2]).startswith("<|im_start|>user\nx")
    first, second = (generate(engine, one, CONVERSATIONS[2:3], GREEDY)[0] for one in (tuned, side))
    assert second.prompt_tokens == len(engine.token_ids("# x\n>")) < first.prompt_tokens
    *_, streamed = engine.stream(Request(side, CONVERSATIONS[2], GREEDY))
    assert streamed == second
    assert score(engine, side, CONVERSATIONS[2:3], ["x"]) != score(
        engine, tuned, CONVERSATIONS[2:3], ["x"]
    )
    assert LocalEngine([side]).render(CONVERSATIONS[2]) == "# x\n>"  # the first side's


def test_a_side_may_bring_its_tokenizer_and_keeps_the_template(
    tuned: ModelFiles, own: Path
) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tuned.base.directory / name, own / name)
    settings = json.loads((own / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    settings["eos_token"] = "<|im_start|>"
    (own / "tokenizer_config.json").write_text(json.dumps(settings))
    side = with_own(tuned, own)
    engine = LocalEngine([tuned, side])
    assert engine.chat_format(side).tokenizer.eos_token == "<|im_start|>"
    assert engine.tokenizer.eos_token == "<|im_end|>"
    assert engine.chat_format(side).render(CONVERSATIONS[0]) == engine.render(CONVERSATIONS[0])
    assert engine.chat_format(side).end_ids == engine.chat_format(tuned).end_ids | {1}


def test_a_side_may_bring_where_its_answers_end(tuned: ModelFiles, own: Path) -> None:
    plain = LocalEngine([tuned])
    (whole,) = generate(plain, tuned, CONVERSATIONS[:1], GREEDY)
    chat_format = plain.chat_format()
    third = next(i for i in chat_format.token_ids(whole.text) if i > 2)
    (own / "generation_config.json").write_text(json.dumps({"eos_token_id": [third]}))
    side = with_own(tuned, own)
    engine = LocalEngine([tuned, side])
    (ended,) = generate(engine, side, CONVERSATIONS[:1], GREEDY)
    assert ended.finish_reason == "stop"
    assert ended.tokens < whole.tokens
    assert whole.text.startswith(ended.text)
    assert generate(engine, tuned, CONVERSATIONS[:1], GREEDY) == [whole]


def test_the_defaults_of_a_sides_generation_configuration_hold(
    tuned: ModelFiles, own: Path
) -> None:
    (own / "generation_config.json").write_text(
        json.dumps({"repetition_penalty": 5.0, "do_sample": True, "temperature": 0.3, "top_k": 3})
    )
    side = with_own(tuned, own)
    engine = LocalEngine([tuned, side])
    answers = [generate(engine, one, CONVERSATIONS[:4], GREEDY) for one in (tuned, side, side)]
    assert answers[0] != answers[1]
    assert answers[1] == answers[2], "greedy is asked for, whatever the file says"


def test_plain_text_is_continued_as_it_is(engine: LocalEngine, tuned: ModelFiles) -> None:
    assert engine.render("def wrap(") == "def wrap("
    (answer,) = generate(engine, tuned, ["def wrap("], GREEDY)
    assert answer.prompt_tokens == len(engine.token_ids("def wrap("))
    (empty,) = generate(engine, tuned, [""], GREEDY)
    assert empty.error == "the prompt is empty"


def test_without_a_chat_template_the_error_says_what_to_pass(tiny_model: Path) -> None:
    chat_format = ChatFormat.of_folders(None, tiny_model)
    chat_format.tokenizer.chat_template = None
    with pytest.raises(UsageError, match="tokenizer=TOKENIZER"):
        chat_format.render([{"role": "user", "content": "Who?"}])
    assert chat_format.render("Who?") == "Who?", "a text is continued as it is"
