"""`llmops receipt` as a user meets it: what gave an answer, and whether that is still what it says."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from command_line import Command
from exchanges import line_of

from llmops.models.resolve import resolve
from llmops.records import ModelFiles, ModelVersion
from llmops.records.serving import Served, served_name
from llmops.serve.receipts import Issuer
from llmops.serve.traces import content, made
from llmops.store import traces


def answered(version: ModelVersion, **changes: str) -> str:
    files = resolve(version.uri)
    assert isinstance(files, ModelFiles)
    trace_id = traces.new_id()
    receipt = Issuer("bot").issue(Served(served_name(files.uri), files, None), trace_id)
    line = line_of(
        trace_id=trace_id,
        receipt=replace(receipt, **changes).text,
        version=served_name(files.uri),
        model_id=files.model_id,
        began=time.time(),
    )
    written = made.trace(line, "bot", content.read(line))
    traces.write(traces.experiment("bot-serving"), [written])
    return trace_id


def test_a_receipt_that_agrees_is_shown_with_all_it_says(
    llmops: Command, version: ModelVersion
) -> None:
    trace_id = answered(version)
    done = llmops("receipt", trace_id)
    assert done.returncode == 0, done.stderr
    for shown in (trace_id, "bot@v1", version.adapter_digest, version.base_digest, "9 in, 3 out"):
        assert str(shown) in done.stdout
    assert "unproven" in done.stdout
    assert "contradicts" not in done.stdout


def test_json_has_every_check(llmops: Command, version: ModelVersion) -> None:
    done = llmops("receipt", answered(version), "--output", "json")
    found = json.loads(done.stdout)
    assert found["verified"] is True
    assert found["receipt"]["version"] == "bot@v1"
    assert {check["what"]: check["agrees"] for check in found["checks"]}["adapter"] is True
    assert found["schema_version"] == 1


def test_a_contradiction_is_shown_and_fails(llmops: Command, version: ModelVersion) -> None:
    done = llmops("receipt", answered(version, adapter="0" * 64))
    assert done.returncode == 1
    assert "contradicts what is found now: seal, adapter" in done.stderr
    assert "contradicts" in done.stdout


def test_an_unknown_trace_and_a_wrong_id_are_usage_errors(llmops: Command, store: str) -> None:
    for given, says in ((traces.new_id(), "no such trace"), ("bot@v1", "expected tr- and 32")):
        done = llmops("receipt", given)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr
