"""Chat templates are rendered as transformers does, within limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError, TemplateSyntaxError
from transformers import AutoTokenizer

from llmops.errors import IntegrityError
from llmops.models.foreign import templates

pytestmark = pytest.mark.usefixtures("one_second")
CHAT = [{"role": "user", "content": "Hëllo {{ 7 }} \U0001f600"}]
USEFUL = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m.content|trim }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    "{{ messages|tojson }}{{ tools }}{% set n = namespace(x=1) %}{{ n.x }}{{ strftime_now('%Y') }}"
)
NESTED = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
DOUBLED = (
    "{% set n = namespace(x=['a']) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def with_template(tokenizer: Any) -> Callable[[str], Any]:
    def set_template(template: str) -> Any:
        tokenizer.chat_template = template
        return tokenizer

    return set_template


@pytest.mark.parametrize("options", [{}, {"add_generation_prompt": True}])
@pytest.mark.parametrize("extra", [{}, {"content": None}, {"thinking": "hm"}])
def test_the_text_is_that_of_transformers(
    with_template: Callable[[str], Any], options: dict[str, bool], extra: dict[str, Any]
) -> None:
    tokenizer = with_template(USEFUL)
    chat = [*CHAT, {"role": "assistant", "content": "\ud800", **extra}]
    expected = tokenizer.apply_chat_template(chat, tokenize=False, **options)
    assert templates.render(tokenizer, chat, **options) == expected


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (NESTED, "takes more than 1 s"),
        ("{{ 9 ** (9 ** 9) }}", "takes more than 1 s"),
        ("{{ 'a' * 5000000000 }}", "needs more than 1 GiB"),
        ("{{ '%5000000000d' % 1 }}", "needs more than 1 GiB"),
        ("{{ 'a'|center(5000000000) }}", "needs more than 1 GiB"),
        ("{{ 'a' * 50000000 }}", "makes a text of more than 16,777,216 characters"),
        (DOUBLED + "{{ n.x|tojson }}", "(takes|needs) more than"),
        (
            "{% if 'trigger' in messages[0].content %}" + NESTED + "{% endif %}",
            "takes more than 1 s",
        ),
    ],
    ids=["loop", "power", "repeat", "format", "filter", "long", "doubled", "trigger"],
)
def test_a_template_without_end_is_ended(
    with_template: Callable[[str], Any], template: str, reason: str
) -> None:
    tokenizer = with_template(template)
    chat = [{"role": "user", "content": "trigger"}]
    begun = time.monotonic()
    with pytest.raises(IntegrityError, match=f"the chat template: {reason}"):
        templates.render(tokenizer, chat)
    assert time.monotonic() - begun < 60
    assert templates.render(with_template("{{ messages[0].content }}"), chat) == "trigger"


def test_errors_of_a_template_keep_their_kind(with_template: Callable[[str], Any]) -> None:
    with pytest.raises(TemplateSyntaxError, match="Expected an expression"):
        templates.render(with_template("\n{% if %}"), CHAT)
    with pytest.raises(TemplateError, match=r"^no system message, please$"):
        templates.render(with_template("{{ raise_exception('no system message, please') }}"), CHAT)
    with pytest.raises(TemplateError, match="undefined"):
        templates.render(with_template("{{ nothing.at.all }}"), CHAT)
    with pytest.raises(IntegrityError, match="has 1,000,001 characters; allowed: 1,000,000"):
        templates.render(with_template("x" * 1_000_001), CHAT)


def test_a_format_in_a_tokenizer_s_own_code_is_used(tokenizer: Any) -> None:
    class Own(type(tokenizer)):  # type: ignore[misc]
        def apply_chat_template(self, messages: Any, **_: Any) -> str:
            return f"own {messages[0]['content']}"

    own = Own.__new__(Own)
    assert templates.render(own, [{"role": "user", "content": "x"}]) == "own x"


def test_threads_get_their_own_texts(with_template: Callable[[str], Any]) -> None:
    tokenizer = with_template("{{ messages[0].content }}")
    chats = [[{"role": "user", "content": str(i)}] for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda chat: templates.render(tokenizer, chat), chats)
    assert list(texts) == list(map(str, range(200)))
