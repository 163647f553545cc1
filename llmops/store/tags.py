"""Names in MLflow's stores: each tag that llmops writes, each artifact path that it reads."""

from __future__ import annotations

from collections.abc import Mapping

KIND = "llmops.kind"
BASE_DIGEST = "llmops.base_digest"
ADAPTER_DIGEST = "llmops.adapter_digest"
SERVABLE = "llmops.servable_vllm"
RECIPE_DIGEST = "llmops.recipe_digest"
DATA_DIGEST = "llmops.data_digest"
VERDICT = "verdict"
DELTA = "delta"
VERSUS = "versus"
EVIDENCE = "llmops.evidence"
EXAMPLE = "llmops.example"
RECEIPT = "llmops.receipt"
VERSION = "llmops.version"
DEPLOYMENT = "llmops.deployment"
RESUMED_AT_STEP = "llmops.resumed_at_step"
UNFINISHED = "llmops.unfinished"
GIT_COMMIT = "llmops.git_commit"

EARLIER = {VERDICT: "llmops.verdict", DELTA: "llmops.delta", VERSUS: "llmops.versus"}
"""Tag → its earlier name, which MLflow's list of versions cuts; it is still read."""

NOTE = "mlflow.note.content"
"""MLflow's own tag that holds the description of a run and of a logged model."""

RECIPE_FILE = "recipe.yaml"
DATA_FOLDER = "data"
TRAIN_SPLIT = "data/train.jsonl"
TEST_SPLIT = "data/test.jsonl"
EVIDENCE_FILE = "report/evidence.json"
REPORT_FILE = "report/report.html"
FOREST_FILE = "report/forest.svg"
LABELS_FOLDER = "labels"


def value(found: Mapping[str, str], tag: str) -> str | None:
    """Return the value of a tag, also under its earlier name; ``None`` without one."""
    return found.get(tag, found.get(EARLIER.get(tag, tag)))
