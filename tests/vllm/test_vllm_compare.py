"""A comparison whose answers a vLLM server gives."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import psutil
import pytest
import torch
from sides import write_adapter
from versions import log_version

from llmops import flavor
from llmops.compare import compare
from llmops.errors import UsageError
from llmops.recipe.schema import Compare

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
SCORERS = ["token_f1", "regex:[aeiou]"]


def test_a_comparison_answered_by_vllm(
    python: Path, store: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_VLLM_PYTHON", str(python))
    adapter = write_adapter(folder, tmp_path / "adapter", seed=4, rank=4)
    base = flavor.add_base(folder, "tiny")
    with mlflow.start_run():
        bot = log_version(adapter, base, "bot").uri
    suite = tmp_path / "test.jsonl"
    rows = [{"id": f"q{i}", "prompt": f"Split {i}.", "expected": "a"} for i in range(16)]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = Compare(max_tokens=8, method="fixed", engine="vllm")
    with pytest.raises(UsageError, match="engine vllm returns answers only, not their likelihood"):
        compare("tiny", bot, suite, config)
    theirs = compare("tiny", bot, suite, config, scorers=SCORERS)
    assert not [one for one in psutil.Process().children(recursive=True) if "vllm" in one.name()]
    ours = compare(
        "tiny", bot, suite, config.model_copy(update={"engine": "local"}), scorers=SCORERS
    )
    pairs = [
        (getattr(a, which).text.rstrip("�"), getattr(b, which).text.rstrip("�"))
        for a, b in zip(theirs.rows, ours.rows, strict=True)
        for which in ("baseline", "candidate")
    ]
    same = sum(a == b for a, b in pairs)
    print(f"\n{same} of {len(pairs)} greedy answers of vLLM and of the local engine are the same")
    # On a GPU both compute in bfloat16, each with kernels of its own: 24 of 32 on an H100.
    assert same >= (0.5 if torch.cuda.is_available() else 0.9) * len(pairs)
    assert theirs.nll is None
    assert compare("tiny", bot, suite, config, scorers=SCORERS).rows == theirs.rows
