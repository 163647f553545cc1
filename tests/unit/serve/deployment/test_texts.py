from __future__ import annotations

import re
from typing import Any

import pytest

from llmops.errors import UsageError
from llmops.serve.deployment import options, texts


def test_texts_become_values_of_their_types() -> None:
    given = {
        "port": "8100",
        "follow": "False",
        "traces": "off",
        "merged": "true",
        "memory": "0.5",
        "concurrency": "8",
        "stall": "1e1",
        "cors": "https://a.org,https://b.org",
        "vllm_args": "--max-model-len 512 --name 'a b'",
        "engine": "vllm",
    }
    assert texts.read(given) == {
        "port": 8100,
        "follow": False,
        "traces": False,
        "merged": True,
        "memory": 0.5,
        "concurrency": 8,
        "stall": 10.0,
        "cors": ["https://a.org,https://b.org"],
        "vllm_args": ["--max-model-len", "512", "--name", "a b"],
        "engine": "vllm",
    }


def test_values_of_python_stay() -> None:
    given: dict[str, Any] = {"port": 1, "follow": True, "cors": ("https://a.org",), "memory": None}
    assert texts.read(given) == given | {"cors": ["https://a.org"]}
    assert texts.read({"vllm_args": '["--a", "b c"]'}) == {"vllm_args": ["--a", "b c"]}


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("prot", "1", r"option 'prot': unknown \(did you mean port\?\)"),
        ("port", "x", "-C port=x: must be an integer; 0 picks a free one"),
        ("port", "81.5", "must be an integer"),
        ("port", True, "must be an integer"),
        ("memory", "half", "-C memory=half: must be a number"),
        ("follow", "maybe", "-C follow=maybe: must be true or false"),
        ("follow", "", "must be true or false"),
        ("vllm_args", "--a 'b", "-C vllm_args=--a 'b: cannot be read: No closing quotation"),
        ("vllm_args", "[1,", "cannot be read"),
        ("engine", 3, "-C engine=3: must be a text"),
        ("host", None, "must be a text"),
    ],
)
def test_other_texts_are_refused(option: str, text: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        texts.read({option: text})


def test_the_help_names_every_option_and_nothing_else() -> None:
    listed = texts.HELP.partition("(-C KEY=VALUE):\n")[2]
    lines = re.findall(r"^  (\w+(?:, \w+)*)  ", listed, re.MULTILINE)
    named = [name for line in lines for name in line.split(", ")]
    assert sorted(named) == sorted(options.names())
    assert max(map(len, texts.HELP.splitlines())) <= 100
