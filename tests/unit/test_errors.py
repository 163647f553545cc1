from __future__ import annotations

import re

import pytest

from llmops import errors
from llmops.errors import ConfigError, LlmopsError, first_line
from llmops.progress import say


def tree_of(root: type[errors.LlmopsError]) -> dict[str, type[errors.LlmopsError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= tree_of(child)
    return found


def test_the_docstring_shows_the_tree_that_the_classes_form() -> None:
    drawn: dict[str, tuple[str | None, int | None]] = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.search(r"^    ([│├└─ ]*)(\w+Error)\s*(?:exit (\d))?", line)
        if match:
            depth = len(match[1]) // 4
            parents[depth:] = [match[2]]
            parent = parents[depth - 1] if depth else None
            drawn[match[2]] = (parent, int(match[3]) if match[3] else None)
    classes = tree_of(errors.LlmopsError)
    assert set(drawn) == set(classes)
    for name, (parent, exit_code) in drawn.items():
        if parent is not None:
            assert classes[name].__bases__ == (classes[parent],), name
        if exit_code is None:  # not drawn: inherited
            assert parent is not None
            exit_code = classes[parent].exit_code
        assert classes[name].exit_code == exit_code, name


def test_exit_codes_tell_a_failure_from_a_verdict() -> None:
    codes = [
        errors.EXIT_OK,
        errors.EXIT_FAILURE,
        errors.EXIT_USAGE,
        errors.EXIT_REJECTED,
        errors.EXIT_INCONCLUSIVE,
        errors.EXIT_INTERRUPTED,
    ]
    assert codes == [0, 1, 2, 3, 4, 130]  # CI files of users name these numbers
    verdicts = {errors.EXIT_OK, errors.EXIT_REJECTED, errors.EXIT_INCONCLUSIVE}
    assert not verdicts & {kind.exit_code for kind in tree_of(errors.LlmopsError).values()}


def test_an_error_ends_with_the_next_command() -> None:
    told = errors.NotFoundError("bot: no such model", next_command="llmops base ls")
    assert str(told) == "bot: no such model\n  Next: llmops base ls"
    assert str(errors.NotFoundError("bot: no such model")) == "bot: no such model"


def test_a_config_error_keeps_its_problems_apart() -> None:
    with pytest.raises(errors.UsageError) as caught:
        raise errors.ConfigError(["r.yaml:1: a", "r.yaml:2: b"], next_command="see")
    assert isinstance(caught.value, errors.ConfigError)
    assert caught.value.problems == ["r.yaml:1: a", "r.yaml:2: b"]
    assert str(caught.value) == "r.yaml:1: a\nr.yaml:2: b\n  Next: see"


def test_an_error_in_other_words_is_the_same_error() -> None:
    cause = ValueError("first")
    with (
        pytest.raises(errors.ConfigError) as caught,
        errors.rephrased(lambda message: message.replace("/copy", "/given")),
    ):
        raise errors.ConfigError(["/copy: a", "/copy: b"], next_command="look") from cause
    error = caught.value
    assert str(error) == "/given: a\n/given: b\n  Next: look"
    assert error.problems == ["/copy: a", "/copy: b"]
    original = error.__cause__
    assert isinstance(original, errors.ConfigError)
    assert original.message == "/copy: a\n/copy: b", "the error in flight is left alone"
    assert original.__cause__ is cause


def test_an_error_of_a_library_is_not_rephrased() -> None:
    with pytest.raises(KeyError, match=r"^'x'$"), errors.rephrased(str.upper):
        raise KeyError("x")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one  \ntwo"), "one  "),
        (ValueError(), "ValueError"),
        (MemoryError(" \n"), "MemoryError"),
    ],
)
def test_an_error_is_quoted_in_one_line(error: Exception, line: str) -> None:
    assert errors.first_line(error) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@h/v1", "http://***@h/v1"),
        ("'openai:https://secret@h/v1#m'", "'openai:https://***@h/v1#m'"),
        ("HTTP://me:se#cret@h", "HTTP://***@h"),
        ("http://me:se/cr@et@h:1/", "http://***@h:1/"),
        ("postgresql+psycopg2://me:sec/r@et@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("mysql://db/x?user=me&password=secret", "mysql://db/x?user=me&password=***"),
        ("mssql://db?odbc_connect=PWD%3Dsecret", "mssql://db?odbc_connect=***"),
        ("https://h/v1?access_token=secret#m", "https://h/v1?access_token=***#m"),
        ("https://h/v1?a=b&client_secret=secret", "https://h/v1?a=b&client_secret=***"),
        ("https://h/v1?key=secret", "https://h/v1?key=***"),
        ("openai:https://h/v1;token=secret#m", "openai:https://h/v1;token=***#m"),
        ("https://a.blob.example/x?sv=1&sig=secret", "https://a.blob.example/x?sv=1&sig=***"),
        ("https://b.example/x?X-Amz-Signature=secret", "https://b.example/x?X-Amz-Signature=***"),
        ("a http://a:b@c and ftp://d:e@f", "a http://***@c and ftp://***@f"),
    ],
)
def test_no_password_is_shown(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert errors.masked(text) == shown
    error = LlmopsError(text, next_command=text)
    assert str(error) == f"{shown}\n  Next: {shown}"
    assert error.args == (shown,)
    assert error.in_words(text).message == shown
    assert ConfigError([text]).problems == [shown]
    assert first_line(ValueError(text)) == shown
    say(text)
    assert capsys.readouterr().err == f"{shown}\n"


@pytest.mark.parametrize(
    "text",
    [
        "models:/bot@champion",
        "openai:http://127.0.0.1:8000/v1#bot@champion",
        "openai:http://[::1]:8000/v1#bot@champion",
        "http://host:5000/#/models/bot@champion",
        "http://a:80/x?e=a@b",
        "http://a/x?keys=1&token_count=2&signal=3",
        "postgresql://db/x?sslkey=client.pem",
        "sqlite:///mlflow.db",
        "file:///x:y@z",
    ],
)
def test_what_is_no_password_is_shown(text: str) -> None:
    assert errors.masked(text) == text
