"""Names in MLflow's stores: each tag that llmops writes, each artifact path that it reads."""

from __future__ import annotations

KIND = "llmops.kind"
BASE_DIGEST = "llmops.base_digest"
ADAPTER_DIGEST = "llmops.adapter_digest"
SERVABLE = "llmops.servable_vllm"
RECIPE_DIGEST = "llmops.recipe_digest"
DATA_DIGEST = "llmops.data_digest"
VERDICT = "llmops.verdict"
DELTA = "llmops.delta"
VERSUS = "llmops.versus"
EVIDENCE = "llmops.evidence"
EXAMPLE = "llmops.example"
RESUMED_AT_STEP = "llmops.resumed_at_step"
UNFINISHED = "llmops.unfinished"
GIT_COMMIT = "llmops.git_commit"

NOTE = "mlflow.note.content"
"""MLflow's own tag that holds the description of a run and of a logged model."""

RECIPE_FILE = "recipe.yaml"
DATA_FOLDER = "data"
TRAIN_SPLIT = "data/train.jsonl"
TEST_SPLIT = "data/test.jsonl"
EVIDENCE_FILE = "report/evidence.json"
REPORT_FILE = "report/report.html"
FOREST_FILE = "report/forest.svg"
