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
GATED = "llmops.gated"
DELIVERY = "llmops.delivery"
EXAMPLE = "llmops.example"
RECEIPT = "llmops.receipt"
VERSION = "llmops.version"
DEPLOYMENT = "llmops.deployment"
RESUMED_AT_STEP = "llmops.resumed_at_step"
UNFINISHED = "llmops.unfinished"
GIT_COMMIT = "llmops.git_commit"
LINE = "llmops.line"
PUSH = "llmops.push"
QUESTION = "llmops.question"
FROZEN = "llmops.frozen"
LEDGER = "llmops.ledger"
MODEL_CREATED = "llmops.model_created"
BOUND_POLICY = "llmops.policy"
BOUND_SUITE = "llmops.suite"
PROOF = "proof"
"""Without a prefix: MLflow's list of versions shows the first 20 characters of a tag."""
GIT_BRANCH = "llmops.git_branch"
PULL_REQUEST = "llmops.pull_request"
JOB_URL = "llmops.job_url"

SECONDS_PER_PROMPT = "seconds_per_prompt"
"""Parameter of a comparison's run: wall time of a prompt, all sides and scorers included."""
EARLIER = {VERDICT: "llmops.verdict", DELTA: "llmops.delta", VERSUS: "llmops.versus"}
"""Tag → its earlier name, which MLflow's list of versions cuts; it is still read."""

NOTE = "mlflow.note.content"
"""MLflow's own tag that holds the description of a run and of a logged model."""

RECIPE_FILE = "recipe.yaml"
DATA_FOLDER = "data"
TRAIN_SPLIT = "data/train.jsonl"
TEST_SPLIT = "data/test.jsonl"
DATA_SUMMARY = "data/summary.json"
"""What became of the rows of the file."""
EVIDENCE_FILE = "report/evidence.json"
REPORT_FILE = "report/report.html"
TABLE_FILE = "report/table.txt"
RESULT_FILE = "report/result.json"
SIGNATURE_FILE = "report/evidence.sig"
FROZEN_FOLDER = "frozen"
FROZEN_FILE = "frozen/frozen.json"
SUMMARY_FILE = "report/summary.md"
FOREST_FILE = "report/forest.svg"
LABELS_FOLDER = "labels"


def value(found: Mapping[str, str], tag: str) -> str | None:
    """Return the value of a tag, also under its earlier name; ``None`` without one."""
    return found.get(tag, found.get(EARLIER.get(tag, tag)))
