"""Agreement of JSON values."""

from __future__ import annotations

import pytest

from llmops.compare.scorers.json.fields import score as json_fields


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ('{"a": 1, "b": "x"}', '{"b": "x", "a": 1.0}', 1.0),
        ('{"a": 1}', '{"a": 1, "b": "x"}', 2 / 3),  # missing
        ('{"a": 1, "b": "x", "c": null}', '{"a": 1, "b": "x"}', 4 / 5),  # superfluous
        ('{"a": true}', '{"a": 1}', 0.0),
        ('{"a": false}', '{"a": false}', 1.0),
        ('{"a": "1"}', '{"a": 1}', 0.0),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', 0.0),  # positions count
        ('{"a": {"b": [1, {}]}}', '{"a": {"b": [1, {}]}}', 1.0),
        ('{"a": []}', '{"a": {}}', 0.0),
        ('{"a.b": 1}', '{"a": {"b": 1}}', 0.0),
        ('{"0": 1}', "[1]", 0.0),
        ("18", "18.0", 1.0),
        ('```json\n{"a": 1}\n```', '{"a": 1}', 0.0),
        ('{"a": NaN}', '{"a": 1}', 0.0),
        ("", '{"a": 1}', 0.0),
        ("[" * 100_000, "[]", 0.0),
    ],
)
def test_json_fields(prediction: str, reference: str, score: float) -> None:
    assert json_fields(prediction, reference) == pytest.approx(score)


def test_json_fields_needs_json_to_compare_with() -> None:
    with pytest.raises(ValueError, match="the expected answer is not JSON"):
        json_fields("{}", "Return it.")
