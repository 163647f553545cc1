"""What a candidate is measured against."""

from __future__ import annotations

from pathlib import Path

from trained import another_adapter, log_trained, recipe

from llmops.compare.baseline import baseline, is_first, remembered_baseline
from llmops.models import bases
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion
from llmops.store import registry


def test_the_champion_and_the_bare_base_until_there_is_one(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    found = bases.fetch(base.digest)
    assert baseline(recipe(tmp_path).policy(), found) == "models:/tiny/1"
    version = log_trained(tiny_adapter)
    assert baseline(recipe(tmp_path).policy(), found) == "models:/tiny/1", (
        "a challenger is no champion"
    )
    registry.set_alias("bot", "champion", version.version)
    assert baseline(recipe(tmp_path).policy(), found) == "models:/bot/1"


def test_the_base_or_any_version_by_name(version: ModelVersion, tmp_path: Path) -> None:
    found = bases.fetch(version.base_digest)
    assert baseline(recipe(tmp_path, "compare.baseline=base").policy(), found) == "models:/tiny/1"
    named = recipe(tmp_path, "compare.baseline=models:/other/7").policy()
    assert baseline(named, found) == "models:/other/7"


def test_a_run_that_is_resumed_after_its_promotion_does_not_meet_itself(
    version: ModelVersion, tiny_model: Path, tmp_path: Path
) -> None:
    candidate = log_trained(another_adapter(tiny_model, tmp_path))
    chosen = recipe(tmp_path).policy()
    assert remembered_baseline(tmp_path, chosen, candidate) == "models:/bot/1"
    registry.set_alias("bot", "champion", candidate.version)
    assert remembered_baseline(tmp_path, chosen, candidate) == "models:/bot/1"
    third = log_trained(another_adapter(tiny_model, tmp_path, seed=6))
    assert remembered_baseline(tmp_path, chosen, third) == "models:/bot/2", "each has its own"


def test_a_champion_that_moved_on_is_the_baseline_of_a_resumed_run(
    version: ModelVersion, tiny_model: Path, tmp_path: Path
) -> None:
    candidate = log_trained(another_adapter(tiny_model, tmp_path))
    assert remembered_baseline(tmp_path, recipe(tmp_path).policy(), candidate) == "models:/bot/1"
    other = log_trained(another_adapter(tiny_model, tmp_path, seed=6))
    registry.set_alias("bot", "champion", other.version)
    assert remembered_baseline(tmp_path, recipe(tmp_path).policy(), candidate) == other.uri


def test_a_first_version_has_no_champion_to_meet(
    version: ModelVersion, tiny_model: Path, tmp_path: Path
) -> None:
    candidate = log_trained(another_adapter(tiny_model, tmp_path))
    files, champion = resolve(candidate.uri), resolve(version.uri)
    bare, policy = resolve(files.base.uri), recipe(tmp_path).policy()
    assert not is_first(policy, champion, files)
    assert not is_first(policy, bare, files), "a champion is there, whatever is named"
    assert not is_first(recipe(tmp_path, "compare.baseline=base").policy(), bare, files)
    registry.set_alias("bot", "champion", candidate.version)
    assert is_first(policy, bare, files), "resumed after its promotion"
    absent = recipe(tmp_path, "compare.baseline=live").policy()
    assert is_first(absent, bare, files)
    assert not is_first(absent, champion, files)
