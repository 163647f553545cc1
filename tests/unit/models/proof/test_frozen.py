"""What was frozen and what was written afterwards: which part differs."""

from __future__ import annotations

import json
from typing import Any

import mlflow
import pytest
from judged import stored

from llmops.errors import IntegrityError
from llmops.files import digest
from llmops.models.proof.frozen import KEYS, differences, is_frozen, refuse_differences
from llmops.store import connection
from llmops.store.tags import FROZEN_FILE

RECORD: dict[str, Any] = {
    **{key: f"of the {key}" for key in KEYS},
    "candidate": {"uri": "models:/bot/2"},
    "line": "feature/x",
    "push": 3,
    "passed": True,
}


@pytest.fixture
def run_id(store: str) -> str:
    content = {key: RECORD[key] for key in KEYS}
    tags = {
        "llmops.question": RECORD["question"],
        "llmops.line": "bot/feature/x",
        "llmops.push": "3",
        "llmops.frozen": digest.of_record(content),
    }
    with mlflow.start_run(tags=tags) as run:
        mlflow.log_text(json.dumps(content), FROZEN_FILE)
        return str(run.info.run_id)


def tags(run_id: str) -> dict[str, str]:
    return dict(connection.client().get_run(run_id).data.tags)


def test_evidence_about_what_was_frozen_has_no_difference(run_id: str) -> None:
    assert differences(RECORD, run_id, tags(run_id)) == []
    refuse_differences(RECORD, run_id, tags(run_id), "models:/bot/2")


@pytest.mark.parametrize("key", KEYS)
def test_each_part_is_named(run_id: str, key: str) -> None:
    value = {"uri": "models:/bot/9"} if key == "candidate" else "another"
    wrong = differences({**RECORD, key: value}, run_id, tags(run_id))
    assert key in wrong
    assert set(wrong) <= {key, f"tag llmops.{key}"}
    lost = {name: RECORD[name] for name in RECORD if name != key}
    assert key in differences(lost, run_id, tags(run_id))


@pytest.mark.parametrize("tag", ["question", "line", "push", "frozen"])
def test_a_tag_that_was_changed_or_removed_is_named(run_id: str, tag: str) -> None:
    found = tags(run_id)
    name = f"llmops.{tag}"
    for changed in ({**found, name: "0"}, {k: v for k, v in found.items() if k != name}):
        assert any(name in part for part in differences(RECORD, run_id, changed))
    with pytest.raises(IntegrityError, match=f"models:/bot/2: TAMPERED: .*{name}"):
        refuse_differences(RECORD, run_id, {**found, name: "0"}, "models:/bot/2")


@pytest.mark.parametrize("content", [None, "cut {", "[]", "{}"])
def test_a_frozen_record_that_is_damaged_vouches_for_nothing(
    run_id: str, content: str | None
) -> None:
    file = stored(run_id, FROZEN_FILE)
    file.unlink() if content is None else file.write_text(content)
    assert differences(RECORD, run_id, tags(run_id)) == [], "the tag is enough"
    (says,) = differences({**RECORD, "policy": "lax"}, run_id, tags(run_id))
    assert says.startswith("frozen/frozen.json")


def test_without_a_freeze_there_is_nothing_to_compare() -> None:
    assert not is_frozen({"llmops.kind": "ab"})
    assert differences({"passed": True}, "0", {}) == []
    assert differences({"question": None}, "0", {}) == []


def test_a_number_that_json_lacks_is_a_difference(run_id: str) -> None:
    assert "alpha" in differences({**RECORD, "alpha": float("nan")}, run_id, tags(run_id))
