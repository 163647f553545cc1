from __future__ import annotations

from typing import Any

import pytest

from llmops.engine.openai.errors import RequestError
from llmops.engine.openai.parameters import (
    HARMLESS,
    NAMES,
    OFF,
    ON,
    UNSUPPORTED,
    known,
    read_parameters,
)
from llmops.records import Sampling


def test_a_name_is_of_one_kind() -> None:
    assert not HARMLESS & set(UNSUPPORTED)
    assert not (HARMLESS | set(UNSUPPORTED)) & set(NAMES)


def test_names_that_say_nothing_are_left_out() -> None:
    given = {"user": "ann", "seed": None, "tools": [], "logprobs": False, "top_k": -1, "n": 2}
    assert known(given) == {"n": 2}


def test_the_newer_name_means_the_same() -> None:
    assert known({"max_completion_tokens": 5}) == {"max_tokens": 5}
    assert known({"max_completion_tokens": 5, "max_tokens": 5}) == {"max_tokens": 5}
    for order in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")):
        with pytest.raises(RequestError, match=r"^max_tokens: two values"):
            known(dict(zip(order, (1, 2), strict=True)))


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_what_would_change_the_answer_is_refused_unless_it_is_off(name: str) -> None:
    for off in ON.get(name, (False, 0, *OFF.get(name, ()))):
        assert known({name: off}) == {}
    with pytest.raises(RequestError, match=rf"^{name}: not supported") as refused:
        known({name: "on"})
    assert refused.value.param == name


def test_what_other_servers_know_is_ignored_where_it_is_off() -> None:
    llama_cpp = {
        "repeat_penalty": 1.0,
        "mirostat": 0,
        "tfs_z": 1,
        "dry_multiplier": 0.0,
        "top_a": 0,
    }
    vllm = {"priority": 0, "return_token_ids": False, "guided_regex": None, "documents": []}
    routers = {"thinking": {"type": "disabled"}, "reasoning": {"effort": "none"}, "extra_body": {}}
    ollama = {"keep_alive": "5m", "think": False, "include_reasoning": True}
    assert known({**llama_cpp, **vllm, **routers, **ollama, "seed": 1}) == {"seed": 1}
    for name, value in (
        ("repeat_penalty", 1.1),
        ("prompt_logprobs", 1),
        ("thinking", {"type": "enabled"}),
        ("reasoning", {"effort": "high"}),
        ("extra_body", {"top_k": 3}),
    ):
        with pytest.raises(RequestError, match=rf"^{name}: not supported"):
            known({name: value})


def test_a_parameter_whose_empty_value_has_an_effect_is_refused_with_it() -> None:
    assert set(ON) < set(UNSUPPORTED)
    for name, value in (("skip_special_tokens", False), ("web_search_options", {})):
        with pytest.raises(RequestError, match=rf"^{name}: not supported"):
            known({name: value})


def test_a_length_of_minus_one_is_no_limit() -> None:
    assert known({"max_tokens": -1}) == known({"max_completion_tokens": -1}) == {}


def test_options_of_a_stream_that_are_off_are_ignored() -> None:
    off = {"include_usage": True, "include_obfuscation": False, "continuous_usage_stats": False}
    read = read_parameters({"stream": True, "stream_options": off})
    assert read.stream_options is not None
    assert read.stream_options.include_usage


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("temprature", "did you mean temperature?"),
        ("max_token", "did you mean max_tokens?"),
        ("zzz", "zzz: unknown parameter; allowed: max_tokens, temperature"),
        ("a\ud800", r"a\ud800: unknown parameter"),
        (3, "3: unknown parameter"),
    ],
)
def test_an_unknown_name_is_refused(name: Any, says: str) -> None:
    with pytest.raises(RequestError) as refused:
        known({name: 1})
    assert says in refused.value.message
    refused.value.message.encode()


def test_defaults() -> None:
    assert read_parameters({}).samplings() == (Sampling(None, 0.0, 1.0, None, ()),)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_tokens", (1, 10**9)),
        ("temperature", (0, 0.0, 2, 2.0)),
        ("top_p", (1e-9, 1)),
        ("n", (1, 128)),
        ("seed", (-(2**63), 0, 2**63 - 1)),
        ("stop", ("a", ["a"] * 16, [])),
    ],
)
def test_ranges_include_their_ends(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        read_parameters({name: value})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_tokens", (0, 1.0, "1", True)),
        ("temperature", (-1e-9, 2.1, float("nan"), "hot", True, 10**400)),
        ("top_p", (0, 1.1, float("nan"))),
        ("n", (0, 129, 1.5)),
        ("seed", (-(2**63) - 1, 2**63, 1.0)),
        ("stop", ("", ["a"] * 17, [None], 3, {"a": 1})),
        ("stream", ("yes", 1)),
        ("stream_options", (5, {"include_obfuscation": True}, {"include_usage": 1})),
    ],
)
def test_what_lies_outside_is_refused_with_what_is_allowed(
    name: str, values: tuple[Any, ...]
) -> None:
    for value in values:
        with pytest.raises(RequestError, match=rf"^{name}: must be .*, received ") as refused:
            read_parameters({"stream": True, name: value})
        assert refused.value.param == name


def test_a_stop_that_utf_8_cannot_carry() -> None:
    with pytest.raises(RequestError, match=r"^stop: holds half of a character"):
        read_parameters({"stop": ["\ud800"]})


def test_a_stream_holds_one_answer() -> None:
    with pytest.raises(RequestError, match=r"^n: must be 1 for a stream, received 2"):
        read_parameters({"stream": True, "n": 2})
    with pytest.raises(RequestError, match=r"^stream_options: allowed only with stream: true"):
        read_parameters({"stream_options": {}})
    assert read_parameters({"stream": True, "stream_options": {"include_usage": None}}).stream


def test_seeds_of_several_answers_follow_each_other() -> None:
    def seeds(**given: Any) -> list[int | None]:
        return [sampling.seed for sampling in read_parameters(given).samplings()]

    assert seeds(n=3, seed=-1) == [-1, 0, 1]
    assert seeds(n=2, seed=2**63 - 1) == [2**63 - 1, -(2**63)]
    assert seeds(n=2) == [None, None]
