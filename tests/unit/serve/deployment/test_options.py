from __future__ import annotations

import sys
from typing import Any

import pytest

from llmops.errors import UsageError
from llmops.serve.auth import header
from llmops.serve.deployment import options
from llmops.serve.deployment.config import Config

ALIAS = "models:/bot@champion"


def configured(uri: str = ALIAS, *, key: str | None = None, **given: Any) -> Config:
    return options.configure("bot", uri, key, given)


def test_without_options() -> None:
    expected = Config(name="bot", uri=ALIAS, follow=True, host="127.0.0.1", port=0)
    assert configured() == expected


def test_every_option_is_kept_and_survives_on_disk() -> None:
    given = {
        "follow": False,
        "host": "localhost",
        "port": 8100,
        "engine": "local",
        "unproven": "allow",
        "cors": ["https://a.org,https://b.org"],
        "vllm": sys.executable,
        "vllm_args": ["--max-model-len", "512"],
        "merged": True,
        "memory": 0.5,
        "queue": 0,
        "concurrency": 8,
        "max_tokens": 64,
        "max_body": 2048,
        "stall": 1.5,
        "traces": False,
        "trace_sample": 0.0,
        "trace_content": False,
        "redact": "my_package.privacy:redact",
        "experiment": "traces",
    }
    config = configured(key="secret", **given)
    assert Config.from_json(config.to_json()) == config
    assert config.cors == ("https://a.org", "https://b.org")
    assert config.key_hash == header.digest("secret")
    assert {name: getattr(config, name) for name in given} == given | {
        "cors": config.cors,
        "vllm_args": ("--max-model-len", "512"),
    }
    assert set(options.names()) == {*given, "tls_cert", "tls_key"}
    assert set(options.names()) == set(options.Options.__annotations__)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"prot": 1}, r"option 'prot': unknown \(did you mean port\?\); allowed: follow, host"),
        ({"name": "x"}, "option 'name': unknown"),
        ({"key_hash": "x"}, "option 'key_hash': unknown"),
        ({"engine": "vlm"}, r"engine 'vlm': not allowed \(did you mean vllm\?\); allowed: auto"),
        ({"unproven": "yes"}, "unproven 'yes': not allowed; allowed: refuse, allow"),
        ({"cors": ["*"]}, "not an origin"),
        ({"redact": "privacy"}, "redact 'privacy': expected MODULE:FUNCTION"),
        ({"redact": "os; rm:x"}, "expected MODULE:FUNCTION"),
        ({"experiment": " "}, "experiment: the name is blank"),
        ({"memory": 0.0}, "memory 0.0: must be above 0 and at most 1"),
        ({"memory": 92.0}, "memory 92.0: must be above 0"),
        ({"memory": float("nan")}, "memory nan: must be above 0"),
        ({"trace_sample": 1.1}, "trace_sample 1.1: must be between 0 and 1"),
        ({"stall": 0.0}, "stall 0.0: must be above 0"),
        ({"queue": -1}, "queue -1: must be at least 0"),
        ({"concurrency": 0}, "concurrency 0: must be at least 1"),
        ({"max_tokens": 0}, "max_tokens 0: must be at least 1"),
        ({"max_body": 10}, "max_body 10: must be at least 1024"),
        ({"port": -1}, "port -1: must be at least 0"),
        ({"vllm": "/no/such/python"}, "vllm '/no/such/python': not a program"),
        ({"tls_cert": "cert.pem"}, "tls_cert: given without tls_key"),
    ],
)
def test_what_is_not_allowed_is_said(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        configured(**given)


def test_an_alias_is_followed_unless_that_is_not_wanted() -> None:
    assert options.follows(ALIAS, None) is True
    assert options.follows(ALIAS, False) is False
    assert options.follows("models:/bot/7", None) is False
    with pytest.raises(UsageError, match="only an alias can be followed"):
        options.follows("models:/bot/7", True)


def test_a_key_that_no_header_carries_is_refused() -> None:
    with pytest.raises(UsageError, match="LLMOPS_API_KEY: the key begins or ends with a blank"):
        configured(key="secret\n")
    assert configured(key="").key_hash is None


def test_near_words_are_suggested() -> None:
    assert options.near("LOCAl", ["local", "vllm"]) == " (did you mean local?)"
    assert options.near("x", ["local", "vllm"]) == ""
    options.check_known("port")
