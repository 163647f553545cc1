"""The JSON of comparisons and standings."""

from __future__ import annotations

import json

from report_records import METRICS, comparison, decision, metric, rows, side

from llmops.records import SliceResult, SmallSlice, Standing
from llmops.report import standings_json, to_json

SLICES = (
    SliceResult("topic", "billing", 40, -0.2, -0.3, -0.1, 0.001, 0.003, 4, 16, 20),
    SliceResult("topic", "shipping\x1b[2J", 40, 0.02, -0.1, 0.14, 0.6, 0.6, 10, 20, 10),
    SmallSlice("topic", "tax", 3),
)


def test_json_holds_the_numbers_of_the_table_and_no_answers():
    record = to_json(comparison(), decision())
    text = json.dumps(record, allow_nan=False)
    assert record["schema_version"] == 1
    assert record["decision"]["exit_code"] == 0
    assert record["metrics"][0]["difference"] == METRICS[0].test.difference
    assert [m["result"] for m in record["metrics"]] == [
        "improved",
        "not shown",
        "worse",
        "not worse",
    ]
    assert "Return the" not in text
    assert to_json(comparison())["decision"] is None


def test_json_says_null_where_json_has_no_number():
    record = to_json(comparison(nll=(float("nan"), float("inf"))))
    assert record["nll_per_token"] == {"baseline": None, "candidate": None}


def test_json_has_all_slices_and_what_was_trained_on():
    record = to_json(comparison(slices=SLICES, trained=tuple(rows(2))))
    json.dumps(record, allow_nan=False)
    assert [one["value"] for one in record["slices"]] == ["billing", "shipping\x1b[2J"]
    assert record["slices"][0]["p_adjusted"] == 0.003
    assert record["slices_too_small"] == [{"key": "topic", "value": "tax", "n": 3}]
    assert record["trained_on"] == [row.example.id for row in rows(2)]


def test_standings_keep_their_order_and_the_baseline_has_no_p_value():
    result = metric("token_f1", 0.062, 0.208, 0.354)
    records = standings_json(
        [
            Standing(side("v3"), 0.7, result, 0.022, (0.4, 0.1)),
            Standing(side("v2"), 0.5, None, None, None),
            Standing(side("v1"), float("nan"), result, 1.0, (float("-inf"), 0.1)),
        ]
    )
    json.dumps(records, allow_nan=False)
    assert records[0] == {
        "label": "v3",
        "uri": "models:/docstring-bot/3",
        "score": 0.7,
        "p_holm": 0.022,
        "strength": {"log_odds": 0.4, "error": 0.1},
    }
    assert (records[1]["p_holm"], records[1]["strength"]) == (None, None)
    assert (records[2]["score"], records[2]["strength"]["log_odds"]) == (None, None)
