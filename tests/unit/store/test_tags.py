from __future__ import annotations

import ast
from pathlib import Path

import llmops
from llmops.records import Verdict
from llmops.store import tags

NAMES = {name: value for name, value in vars(tags).items() if name.isupper() and name != "EARLIER"}


def test_every_name_is_another_one() -> None:
    assert len(set(NAMES.values())) == len(NAMES) > 10


def test_a_tag_is_typed_once() -> None:
    # A name that is typed twice is soon spelt in two ways; what is read again would not be found.
    ours = {value for value in NAMES.values() if value.startswith("llmops.")}
    root = Path(llmops.__file__).parent
    found = [
        f"{path.relative_to(root)}:{node.lineno} {node.value}"
        for path in root.rglob("*.py")
        if path.name != "tags.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in ours
    ]
    assert found == []


def test_a_tag_is_read_under_its_earlier_name_too() -> None:
    assert (
        tags.value({"verdict": "IMPROVED", "llmops.verdict": "REGRESSED"}, tags.VERDICT)
        == "IMPROVED"
    )
    assert tags.value({"llmops.verdict": "REGRESSED"}, tags.VERDICT) == "REGRESSED"
    assert tags.value({"owner": "ada"}, tags.VERDICT) is None
    assert tags.value({"llmops.kind": "base"}, tags.KIND) == "base"


def test_the_list_of_versions_shows_each_verdict_whole() -> None:
    # MLflow shortens name and value beyond 30 characters together; its column shows about 24.
    assert max(len(f"{tags.VERDICT}: {verdict}") for verdict in Verdict) <= 24
