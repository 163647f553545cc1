"""`llmops base` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import Command

from llmops.records import BaseModel


def test_a_base_is_added_and_listed(llmops: Command, store: str, tiny_model: Path) -> None:
    assert llmops("base", "ls").stdout == (
        "No base model is registered.\n  Next: llmops base add smollm2-135m-instruct\n"
    )
    added = llmops("base", "add", str(tiny_model), "--name", "tiny")
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("tiny: models:/tiny/1, digest ")
    (found,) = json.loads(llmops("base", "ls", "--output", "json").stdout)["bases"]
    assert (found["name"], found["version"], found["cached"]) == ("tiny", 1, True)
    assert f"Files: {found['directory']}" in added.stdout
    titles, row = (line.split() for line in llmops("base", "ls").stdout.splitlines())
    assert titles == ["name", "version", "digest", "files"]
    assert row == ["tiny", "1", found["digest"][:12], found["directory"]]


def test_what_cannot_be_added_is_a_usage_error(
    llmops: Command, store: str, tiny_model: Path
) -> None:
    nothing = llmops("base", "add", str(tiny_model.parent))
    assert nothing.returncode == 2
    assert str(tiny_model.parent) in nothing.stderr
    named = llmops("base", "add", str(tiny_model), "--name", "a/b")
    assert named.returncode == 2
    assert "'a/b'" in named.stderr
    assert "letters, digits" in named.stderr


def test_verify_reads_every_byte(llmops: Command, base: BaseModel) -> None:
    assert llmops("base", "ls", "--verify").stdout.endswith(
        "\nVerified: all files on this machine have the recorded digests.\n"
    )
    weights = base.directory / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(content)
    damaged = llmops("base", "ls", "--verify")
    assert damaged.returncode == 1
    assert "model.safetensors" in damaged.stderr or base.digest[:12] in damaged.stderr
