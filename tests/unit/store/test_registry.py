from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from damage import leave_alias_dangling

from llmops.errors import LlmopsError, NotFoundError, StoreError, UsageError
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, registry, tags


def test_a_version_is_named_in_three_ways(version: ModelVersion) -> None:
    for uri in ("models:/bot/1", "models:/bot@champion", "models:/bot/latest"):
        assert registry.parse(uri) == ("bot", "1")


@pytest.mark.parametrize(
    ("uri", "error", "says"),
    [
        ("bot", UsageError, "such as models:/bot@champion"),
        ("a b", UsageError, "such as models:/quickstart@champion"),
        ("models:/", UsageError, "expected models:/NAME/VERSION"),
        ("models:/bot", UsageError, "a version or an alias is missing"),
        ("models:/bot@best", NotFoundError, "no version has the alias 'best'"),
        ("models:/nobody/latest", NotFoundError, "no such model"),
    ],
)
def test_what_names_no_version_says_what_would(
    version: ModelVersion, uri: str, error: type[LlmopsError], says: str
) -> None:
    with pytest.raises(error, match=says):
        registry.parse(uri)


def test_the_newest_of_ten_versions_is_the_tenth(store: str) -> None:
    client = connection.client()
    client.create_registered_model("bot")
    for _ in range(10):
        client.create_model_version("bot", "file:///nowhere")
    assert registry.latest_version("bot") == "10"  # as texts, 9 is the largest


def test_models_their_tags_and_their_versions(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connection.client()
    for name in ("b", "a", "c"):
        client.create_registered_model(name)
    real = type(client).search_registered_models

    def one_each(*arguments: object, **options: object) -> object:
        return real(*arguments, **{**options, "max_results": 1})

    monkeypatch.setattr(type(client), "search_registered_models", one_each)
    assert [model.name for model in registry.models()] == ["a", "b", "c"], "page by page"
    registry.annotate_model("a", "team", "support")
    assert registry.model_record("a").tags == {"team": "support"}
    assert registry.model_tag("a", "team") == "support"
    registry.remove_model_tag("a", "team")
    assert registry.model_tag("a", "team") is None
    assert (registry.model_record("nobody"), registry.model_tag("nobody", "team")) == (None, None)
    for _ in range(2):
        client.create_model_version("a", "file:///nowhere")
    assert [registry.version_exists("a", number) for number in "123"] == [True, True, False]
    registry.annotate_version("a", "2", {"proof": ""})
    assert registry.versions_with_tag("a", "proof") == ["2"]


def test_a_base_is_found_by_name_and_by_content(base: BaseModel, version: ModelVersion) -> None:
    for found in (
        registry.tagged_bases(name="tiny"),
        registry.tagged_bases(base_digest=base.digest),
        registry.tagged_bases(),
    ):
        assert [(one.name, str(one.version)) for one in found] == [("tiny", "1")]
    assert registry.tagged_bases(name="bot") == [], "a version is no base"
    assert registry.tagged_bases(base_digest="0" * 64) == []


def test_the_newest_base_comes_first(base: BaseModel) -> None:
    connection.client().copy_model_version("models:/tiny/1", "tiny")
    assert [str(one.version) for one in registry.tagged_bases(name="tiny")] == ["2", "1"]


def test_an_alias_of_a_deleted_version_is_no_missing_alias(
    version: ModelVersion, store: str
) -> None:
    leave_alias_dangling(store, "7")
    with pytest.raises(
        NotFoundError, match="bot@champion: points to version 7, which was deleted"
    ) as caught:
        registry.version_of_alias("bot", "champion")
    command = str(caught.value.next_command).partition(": ")[2]
    subprocess.run(shlex.split(command.replace("python", sys.executable, 1)), check=True)
    assert registry.version_of_alias("bot", "champion") is None
    assert registry.version_of_alias("nobody", "champion") is None


def test_tags_are_removed_whether_a_version_has_them_or_not(version: ModelVersion) -> None:
    registry.annotate_version("bot", "1", {tags.VERDICT: "IMPROVED", tags.DELTA: "+0.1"})
    registry.remove_version_tags("bot", "1", [tags.EVIDENCE, tags.VERDICT])
    found = registry.version_record("bot", "1").tags
    assert tags.VERDICT not in found
    assert found[tags.DELTA] == "+0.1"


def test_a_run_knows_the_version_it_registered(version: ModelVersion) -> None:
    assert version.run_id is not None
    assert registry.version_of_run("bot", version.run_id) == "1"
    assert registry.version_of_run("tiny", version.run_id) is None


def test_an_alias_moves(version: ModelVersion) -> None:
    connection.client().copy_model_version(version.uri, "bot")
    registry.set_alias("bot", "champion", "2")
    assert registry.version_of_alias("bot", "champion") == "2"
    assert registry.version_of_alias("bot", "nobody") is None
    with pytest.raises(StoreError, match="alias bot@champion: MLflow refused"):
        registry.set_alias("bot", "champion", "7")


def test_tags_keep_the_order_in_which_they_are_given(version: ModelVersion) -> None:
    registry.annotate_version("bot", "1", {tags.VERDICT: "IMPROVED", tags.DELTA: "+0.1"})
    found = list(registry.version_record("bot", "1").tags)
    assert found.index(tags.VERDICT) < found.index(tags.DELTA)
    assert registry.version_tag("bot", "1", tags.DELTA) == "+0.1"
    assert registry.version_tag("bot", "1", "nothing") is None
    connection.client().set_registered_model_tag("bot", "llmops.verdict", "REGRESSED")
    registry.annotate_model("bot", tags.VERDICT, "IMPROVED")
    assert "llmops.verdict" not in connection.client().get_registered_model("bot").tags
    assert connection.client().get_registered_model("bot").tags[tags.VERDICT] == "IMPROVED"


def test_a_description_is_changed_from_what_it_was(version: ModelVersion) -> None:
    registry.redescribe("bot", "1", version.model_id, lambda _: "one")
    registry.redescribe("bot", "1", version.model_id, lambda text: f"{text} two")
    assert registry.version_record("bot", "1").description == "one two"
    logged = connection.client().get_logged_model(version.model_id)
    assert logged.tags[tags.NOTE] == "one two"
    with pytest.raises(NotFoundError, match="models:/bot/9: no such version"):
        registry.version_record("bot", "9")
