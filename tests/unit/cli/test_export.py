"""`llmops export` as a user meets it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from command_line import Command

from llmops.records import BaseModel, ModelVersion


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def test_the_command_prints_what_serves_it(
    llmops: Command, version: ModelVersion, base: BaseModel, place: Path
) -> None:
    shown = llmops("export", "models:/bot@champion", "my bot")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("models:/bot/1 is in my bot: merged, ")
    assert shown.stdout.splitlines()[0].endswith(" kB")
    assert shown.stdout.endswith("  Next: vllm serve 'my bot' --served-model-name 'my bot'\n")
    done = llmops("export", version.uri, "a", "--format", "adapter", "--output", "json")
    record = json.loads(done.stdout)
    assert record["schema_version"] == 1
    assert record["format"] == "adapter"
    assert len(record["digest"]) == 64
    first, then = (shlex.split(line) for line in record["next"])
    assert first == ["llmops", "export", base.uri, "a-base"]
    assert then[:3] == ["vllm", "serve", "a-base"]
    assert then[-2:] == ["--lora-modules", "a=a"]
    assert then[then.index("--max-loras") + 1] == "2", "the last slot of vLLM 0.32 on a CPU"
    assert then[then.index("--max-lora-rank") + 1] == "8", "vLLM knows no rank of 4"
    assert llmops(*first[1:]).returncode == 0
    assert (place / "a-base/model.safetensors").is_file()


def test_a_version_that_does_not_exist_is_a_usage_error(
    llmops: Command, version: ModelVersion, place: Path
) -> None:
    done = llmops("export", "models:/bot/7", "there")
    assert done.returncode == 2
    assert "models:/bot/7" in done.stderr
    assert not (place / "there").exists()
