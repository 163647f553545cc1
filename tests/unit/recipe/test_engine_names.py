from __future__ import annotations

import pytest

from llmops.errors import UsageError
from llmops.recipe.engine_names import ENGINES, check, selectable


def test_a_recipe_may_name_the_engines_that_load_files() -> None:
    assert selectable() == ["local", "vllm"]
    for name in selectable():
        check(name)
    assert ENGINES["openai"].remote
    for name in ("openai", "ray", ""):
        with pytest.raises(UsageError, match=f"engine '{name}': unknown; allowed: local, vllm"):
            check(name)


def test_only_this_process_refuses_for_good_and_knows_likelihoods() -> None:
    assert [name for name, entry in ENGINES.items() if entry.in_process] == ["local"]
    assert [name for name, entry in ENGINES.items() if entry.likelihood] == ["local"]
