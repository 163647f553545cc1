"""Evidence is read by a schema: what lacks a key or has another type is named."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from report_records import CHECKS, METRICS

from llmops.errors import UsageError
from llmops.files import digest
from llmops.models.proof import schema
from llmops.recipe.schema import Gate
from llmops.records.models import identity

POLICY = Gate.model_validate({"require": [{"metric": "token_f1", "must": "improve"}]})


def side(adapter: str | None, base: str | None) -> dict[str, Any]:
    return {"uri": "models:/x/1", "adapter_digest": adapter, "base_digest": base, "model_id": None}


def record() -> dict[str, Any]:
    policy = POLICY.model_dump(mode="json")
    made = {
        "schema_version": 1,
        "code_version": "0.1.0",
        "candidate": side("a" * 64, "b" * 64),
        "baseline": side(None, None),
        "suite": {"name": "s", "digest": "c" * 64},
        "policy": {**policy, "digest": digest.of_record(policy)},
        "metrics": [asdict(result) for result in METRICS],
        "checks": [asdict(check) for check in CHECKS],
        "verdict": "IMPROVED",
        "passed": True,
        "run_id": "0" * 32,
    }
    return dict(json.loads(json.dumps(made)))


def test_what_a_gate_writes_is_read_as_its_own_records() -> None:
    found = schema.read(record(), "here")
    assert found.metrics == METRICS
    assert found.checks == CHECKS
    assert found.policy.require == POLICY.require
    assert (found.candidate.identity, found.baseline.identity) == (
        identity("b" * 64, "a" * 64),
        None,
    )


@pytest.mark.parametrize("key", sorted(record()))
def test_every_missing_key_is_named(key: str) -> None:
    made = record()
    del made[key]
    with pytest.raises(UsageError, match=rf"^here: .*{key}"):
        schema.read(made, "here")


@pytest.mark.parametrize("value", [None, 3, "x", [], {}])
@pytest.mark.parametrize("key", sorted(record()))
def test_a_value_of_another_type_is_named(key: str, value: object) -> None:
    made = {**record(), key: value}
    fits = {"code_version": "x", "run_id": "x"}
    if fits.get(key) == value:
        return
    with pytest.raises(UsageError, match=rf"^here: .*{key}"):
        schema.read(made, "here")


def test_many_problems_are_counted() -> None:
    made = {"schema_version": 1}
    with pytest.raises(UsageError, match=r"Field required \(and 6 more\)"):
        schema.read(made, "here")


def test_another_policy_than_its_digest_says_is_refused() -> None:
    made = record()
    made["policy"]["min_prompts"] = 2
    with pytest.raises(UsageError, match=r"policy\.digest is not that of the policy"):
        schema.read(made, "here")
