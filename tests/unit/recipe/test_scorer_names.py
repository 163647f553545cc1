from __future__ import annotations

import re

import pytest

from llmops.errors import UsageError
from llmops.recipe.scorer_names import PLAIN, ScorerName, allowed, parse, parse_all, with_file


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("exact", ScorerName("exact", "exact")),
        ("strict=exact", ScorerName("strict", "exact")),
        ("regex:^yes", ScorerName("regex", "regex", "^yes")),
        ("regex:a=b", ScorerName("regex", "regex", "a=b")),  # `=` after a colon is the pattern's
        ("dated=regex:[0-9]{4}", ScorerName("dated", "regex", "[0-9]{4}")),
        ("x=regex:a:b\nc=d", ScorerName("x", "regex", "a:b\nc=d")),
        ("json_schema:s/my-order.json", ScorerName("json_schema_my_order", "json_schema", "s/my-order.json")),
        ("evaluate:m/f1.py:1-wer", ScorerName("evaluate_f1_1_wer", "evaluate", "m/f1.py:1-wer")),
        ("mlflow:a.b:polite", ScorerName("mlflow_polite", "mlflow", "a.b:polite")),
    ],
)  # fmt: skip
def test_names(text: str, name: ScorerName) -> None:
    assert parse(text) == name
    assert parse(f"again={name.spec}").spec == name.spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bleu", "unknown; allowed: exact, token_f1"),
        ("", "unknown"),
        ("=exact", "unknown"),
        ("a b=exact", "unknown"),
        ("Exact", "did you mean exact?"),
        ("token_f3", "did you mean token_f1?"),
        ("f1=regexp:x", "did you mean regex?"),
        ("exact:x", "exact takes no argument"),
        ("regex", "needs an argument, regex:PATTERN"),
        ("regex:", "needs an argument"),
        ("token_f1=regex:x", "the label 'token_f1' is reserved"),
        ("nll=exact", "the label 'nll' is reserved"),
    ],
)
def test_no_names(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        parse(text)


def test_a_recipe_names_no_code() -> None:
    for text in ("evaluate:./f1", "mlflow:my:polite", "x=mlflow:my:polite"):
        with pytest.raises(UsageError, match="a recipe executes no code"):
            parse(text, code=False)
    assert parse("json_schema:s.json", code=False).kind == "json_schema"
    assert not any("mlflow" in form or "evaluate" in form for form in allowed(code=False))


def test_labels_differ() -> None:
    with pytest.raises(UsageError, match="two scorers have the label 'regex'") as caught:
        parse_all(["regex:a", "exact", "regex:b"])
    assert caught.value.next_command == "give it another label: LABEL=regex:a"
    assert [name.label for name in parse_all(["regex:a", "b=regex:b"])] == ["regex", "b"]
    with pytest.raises(UsageError, match="two scorers have the label 'exact'"):
        parse_all(["exact", "exact"])


def test_labels_are_names_that_mlflow_takes() -> None:
    from mlflow.utils.validation import _validate_metric_name

    odd = ["evaluate:../m/größe x", "json_schema:a b'\".json", "mlflow:ä:f", "regex:\n"]
    for text in (*PLAIN, *odd):
        label = parse(text).label
        assert re.fullmatch(r"[A-Za-z0-9_]+", label), label
        _validate_metric_name(f"delta/{label}")


@pytest.mark.parametrize(
    ("text", "placed"),
    [
        ("json_schema:order.json", "json_schema:/there/order.json"),
        ("x=json_schema:order.json", "x=json_schema:/there/order.json"),
        ("regex:json_schema:order.json", "regex:json_schema:order.json"),  # a pattern, no file
        ("exact", "exact"),
        ("json_schema:", "json_schema:"),
        ("nonsense:order.json", "nonsense:order.json"),
    ],
)
def test_the_file_in_a_name_is_placed(text: str, placed: str) -> None:
    assert with_file(text, lambda path: f"/there/{path}") == placed
