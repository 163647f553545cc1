"""Reading of YAML files, and which kind a file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.errors import ConfigError, NotFoundError
from llmops.recipe.reading import POLICY, RECIPE, kind_of, read, refuse_other_kind, show


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (["schema_version", "model", "gate"], POLICY),
        (["suite"], POLICY),
        (["model", "gate", "data"], RECIPE),
        (["name", "gate", "flavor"], RECIPE),
        ([], RECIPE),
        (["gate"], RECIPE),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_keys(keys: list[str], kind: str) -> None:
    content = dict.fromkeys(keys)
    assert kind_of(content) == kind
    refuse_other_kind(Path("a.yaml"), content, kind)
    other = POLICY if kind == RECIPE else RECIPE
    with pytest.raises(ConfigError, match=f"is a {kind}, not a {other}"):
        refuse_other_kind(Path("a.yaml"), content, other)


def test_an_error_names_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such policy") as caught:
        read(tmp_path / "gate.yaml", POLICY)
    assert caught.value.next_command is None, "recipes would be listed"
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a policy is a mapping of keys, .* received list"):
        read(path, POLICY)
    assert show(path, POLICY) == f"llmops validate {path}"
    assert show(path, RECIPE) == f"llmops recipes show {path}"


def test_content_and_lines_are_of_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text("model: bot\nsuite: a.jsonl\n", encoding="utf-8")
    content, tree = read(path, POLICY)
    assert content == {"model": "bot", "suite": "a.jsonl"}
    assert [key.start_mark.line for key, _ in tree.value] == [0, 1]
