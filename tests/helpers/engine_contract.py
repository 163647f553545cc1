"""What every engine must do; the tests of each engine run all of these cases on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
from sides import CONVERSATIONS, GREEDY, answer_all, generate

from llmops.engine import Engine, Key, Request, Turn
from llmops.errors import UsageError
from llmops.records import Answer, ModelFiles, Sampling, Side

LONG = [{"role": "user", "content": "word " * 600}]
CONTEXT = 512
IDLE_SECONDS = 1.0
"""In which an engine that was not stopped begins many more requests."""
SAMPLED = Sampling(max_tokens=12, temperature=1.0, top_p=0.9, seed=4)


@dataclass(frozen=True)
class Subject:
    """An engine to test.

    Attributes:
        engine: Ready to answer for the side.
        side: As requests to this engine name it.
        files: The same version as files, which the reference knows.
        reference: The local engine with these files.
        fresh: Opens one more engine for the side, which the case closes.
        count: Requests whose computation the engine has begun so far.
        agreement: Share of greedy answers that must be those of the reference.
    """

    engine: Engine
    side: Side
    files: ModelFiles
    reference: Engine
    fresh: Callable[[], Engine]
    count: Callable[[], int]
    agreement: float = 1.0


def whole(answer: Answer) -> str:
    """Without half characters at the end: some servers leave out what transformers marks."""
    return answer.text.rstrip("\N{REPLACEMENT CHARACTER}")


def requests_of(subject: Subject, sampling: Sampling = GREEDY) -> list[Request]:
    keys: list[Key] = ["a", 1, ("b", 2), None, "c", -1, frozenset(), 2.5]
    return [
        Request(subject.side, messages, sampling, key)
        for key, messages in zip(keys, CONVERSATIONS, strict=True)
    ]


def every_key_comes_back_once_with_its_answer(subject: Subject) -> None:
    requests = requests_of(subject)
    results = list(subject.engine.answer(requests))
    assert {key for key, _ in results} == {request.key for request in requests}
    assert len(results) == len(requests)
    given = dict(results)
    for request in requests[:3]:
        ((_, alone),) = subject.engine.answer([request])
        assert given[request.key] == alone
    assert list(subject.engine.answer([])) == []


def greedy_answers_are_those_of_the_local_engine(subject: Subject) -> None:
    ours = generate(subject.engine, subject.side, CONVERSATIONS, GREEDY)
    theirs = generate(subject.reference, subject.files, CONVERSATIONS, GREEDY)
    assert len({answer.text for answer in theirs}) > len(theirs) / 2
    assert [a.prompt_tokens for a in ours] == [a.prompt_tokens for a in theirs]
    same = sum(whole(a) == whole(b) for a, b in zip(ours, theirs, strict=True))
    assert same >= subject.agreement * len(ours)
    if subject.agreement == 1:
        assert ours == theirs


def a_seed_makes_answers_repeatable(subject: Subject) -> None:
    first, again = (answer_all(subject.engine, requests_of(subject, SAMPLED)) for _ in range(2))
    assert first == again
    other = replace(SAMPLED, seed=5)
    assert answer_all(subject.engine, requests_of(subject, other)) != first


def a_stop_string_ends_an_answer_and_is_cut(subject: Subject) -> None:
    ((_, answer),) = subject.engine.answer([Request(subject.side, CONVERSATIONS[0], GREEDY)])
    stop = answer.text[3:5]
    stopped = replace(GREEDY, stop=(stop,))
    ((_, cut),) = subject.engine.answer([Request(subject.side, CONVERSATIONS[0], stopped)])
    assert (cut.text, cut.finish_reason) == (answer.text[: answer.text.index(stop)], "stop")


def without_a_limit_the_context_ends_an_answer(subject: Subject) -> None:
    endless = Request(subject.side, CONVERSATIONS[0], replace(GREEDY, max_tokens=None))
    ((_, answer),) = subject.engine.answer([endless])
    assert answer.error is None
    assert GREEDY.max_tokens is not None
    assert answer.finish_reason == "stop" or answer.tokens > GREEDY.max_tokens
    assert answer.prompt_tokens + answer.tokens <= CONTEXT


def a_request_that_cannot_be_answered_is_an_error_and_the_others_are_answered(
    subject: Subject,
) -> None:
    requests = [
        Request(subject.side, CONVERSATIONS[0], GREEDY, "fine"),
        Request(subject.side, LONG, GREEDY, "long"),
        Request(subject.side, CONVERSATIONS[1], GREEDY, "fine too"),
    ]
    given = dict(subject.engine.answer(requests))
    assert (given["long"].text, given["long"].finish_reason) == ("", "error")
    assert str(CONTEXT) in str(given["long"].error)
    assert given["fine"].error is None is given["fine too"].error
    with pytest.raises(UsageError, match=str(CONTEXT)):
        list(subject.engine.stream(requests[1]))


def closing_the_results_stops_the_work(subject: Subject) -> None:
    requests = [
        Request(subject.side, messages, SAMPLED, (turn, i))
        for turn in range(20)
        for i, messages in enumerate(CONVERSATIONS)
    ]
    before = subject.count()
    with closing(subject.engine.answer(requests, batch_size=1)) as results:
        next(results)
    time.sleep(IDLE_SECONDS)
    begun = subject.count() - before
    assert begun <= len(requests) // 4, "one was read; a few began before the end was noticed"
    ((_, answer),) = subject.engine.answer(requests[:1])
    assert answer.error is None


def streamed_pieces_are_the_answer(subject: Subject) -> None:
    assert subject.engine.capabilities.stream
    for sampling in (GREEDY, SAMPLED):
        request = Request(subject.side, CONVERSATIONS[0], sampling)
        *pieces, last = subject.engine.stream(request)
        ((_, answer),) = subject.engine.answer([request])
        assert last == answer
        assert "".join(str(piece) for piece in pieces) == answer.text
        assert len(pieces) > 1


def closing_a_stream_leaves_the_engine_usable(subject: Subject) -> None:
    endless = Request(subject.side, CONVERSATIONS[0], replace(SAMPLED, max_tokens=300))
    with closing(subject.engine.stream(endless)) as pieces:
        assert isinstance(next(pieces), str)
    ((_, answer),) = subject.engine.answer([Request(subject.side, CONVERSATIONS[0], GREEDY)])
    assert answer.error is None


def likelihoods_come_where_the_engine_is_capable(subject: Subject) -> None:
    turns = [
        Turn(subject.files, messages, "Split a path.", key)
        for key, messages in zip("abc", CONVERSATIONS, strict=False)
    ]
    turns.append(Turn(subject.files, LONG, "no", "long"))
    if not subject.engine.capabilities.likelihood:
        with pytest.raises(UsageError, match="likelihood"):
            list(subject.engine.likelihood(turns))
        return
    given = dict(subject.engine.likelihood(turns))
    assert given == dict(subject.reference.likelihood(turns))
    assert given.pop("long") is None
    assert all(result is not None and result[0] < 0 < result[1] for result in given.values())


def texts_are_continued_where_the_engine_is_capable(subject: Subject) -> None:
    request = Request(subject.side, "def wrap(", GREEDY)
    if subject.engine.capabilities.completion:
        ((_, answer),) = subject.engine.answer([request])
        assert answer.error is None
        return
    with pytest.raises(UsageError, match="not to continue a text"):
        list(subject.engine.answer([request]))


def what_no_engine_answers_is_refused(subject: Subject) -> None:
    fine = Request(subject.side, CONVERSATIONS[0], GREEDY)
    before = subject.count()
    for changes, problem in (
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"temperature": -1.0}, "temperature is -1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"stop": ("",)}, "stop is"),
    ):
        wrong = replace(fine, sampling=replace(GREEDY, **changes), key=1)
        with pytest.raises(UsageError, match=problem):
            list(subject.engine.answer([fine, wrong]))
        with pytest.raises(UsageError, match=problem):
            next(subject.engine.stream(wrong))
    with pytest.raises(UsageError, match="two requests have the key 0"):
        list(subject.engine.answer([fine, fine]))
    stranger = replace(subject.files, adapter_digest="0" * 64)
    with pytest.raises(UsageError, match=r"has not loaded it|asks .* alone"):
        list(subject.engine.answer([replace(fine, side=stranger)]))
    assert subject.count() == before


def a_closed_engine_answers_no_more(subject: Subject) -> None:
    engine = subject.fresh()
    engine.close()
    engine.close()
    request = Request(subject.side, CONVERSATIONS[0], GREEDY)
    with pytest.raises(UsageError, match="closed"):
        list(engine.answer([request]))
    with pytest.raises(UsageError, match="closed"):
        next(engine.stream(request))
    assert answer_all(subject.engine, [request])[0].error is None


CASES = (
    every_key_comes_back_once_with_its_answer,
    greedy_answers_are_those_of_the_local_engine,
    a_seed_makes_answers_repeatable,
    a_stop_string_ends_an_answer_and_is_cut,
    without_a_limit_the_context_ends_an_answer,
    a_request_that_cannot_be_answered_is_an_error_and_the_others_are_answered,
    closing_the_results_stops_the_work,
    streamed_pieces_are_the_answer,
    closing_a_stream_leaves_the_engine_usable,
    likelihoods_come_where_the_engine_is_capable,
    texts_are_continued_where_the_engine_is_capable,
    what_no_engine_answers_is_refused,
    a_closed_engine_answers_no_more,
)


def counted(engine: object, name: str, size: Callable[[object], int]) -> Callable[[], int]:
    """Counts the requests that reach a method, which still does its work."""
    real, seen = getattr(engine, name), [0]

    def counting(given: object, *rest: object) -> object:
        seen[0] += size(given)
        return real(given, *rest)

    setattr(engine, name, counting)
    return lambda: seen[0]
