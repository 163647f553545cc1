"""What is held back of a text that is still being generated."""

from __future__ import annotations

import pytest
from sides import generate

from llmops.engine import Request
from llmops.engine.local.decode.streaming import cut
from llmops.engine.local.engine import LocalEngine
from llmops.records import Answer, ModelFiles, Sampling


def done(text: str) -> Answer:
    return Answer(text, 3, 1, "stop")


@pytest.mark.parametrize(
    ("pieces", "stops", "text", "expected"),
    [
        (["ab", "cd"], (), "abcd", ["ab", "cd"]),
        (["ab EN", "D tail"], ("END",), "ab ", ["ab "]),
        (["ab EN", "TER"], ("END",), "ab ENTER", ["ab ", "ENTER"]),
        (["ab E"], ("END",), "ab E", ["ab ", "E"]),
        (["aXbY", "c"], ("Y", "X"), "a", ["a"]),
        (["x\n", "\ny"], ("\n\n",), "x", ["x"]),
    ],
)
def test_no_part_of_a_stop_string_is_sent(
    pieces: list[str], stops: tuple[str, ...], text: str, expected: list[str]
) -> None:
    *sent, answer = cut([*pieces, done(text)], stops)
    assert sent == expected
    assert answer == done(text)


def test_a_stream_never_shows_a_stop_string(engine: LocalEngine, tuned: ModelFiles) -> None:
    prompt = [{"role": "user", "content": "Split a pathname."}]
    (whole,) = generate(engine, tuned, [prompt], Sampling(max_tokens=24))
    stop = whole.text[6:9]
    *pieces, last = engine.stream(Request(tuned, prompt, Sampling(max_tokens=24, stop=(stop,))))
    assert "".join(map(str, pieces)) == whole.text[: whole.text.index(stop)] == last.text
