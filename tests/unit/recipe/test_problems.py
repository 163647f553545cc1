"""The problems of a file as lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from llmops.recipe.problems import problems
from llmops.recipe.reading import read
from llmops.recipe.schema import Policy

TEXT = """\
schema_version: 1
model: bot
gate:
  require:
    - {metric: token_f1, must: improve}
  min_promts: 3
  alpha: 7
"""


def test_each_problem_has_its_line_and_the_closest_key(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(TEXT, encoding="utf-8")
    content, tree = read(path)
    with pytest.raises(ValidationError) as caught:
        Policy.model_validate(content)
    first, second = problems(path, tree, caught.value, Policy)
    assert first.startswith(
        f"{path}:6: gate.min_promts: unknown key; allowed here: alpha, budgets,"
    )
    assert first.endswith("; did you mean min_prompts?")
    assert second.startswith(f"{path}:7: gate.alpha: received 7; input should be less")
