"""Advice that helps: the versions that exist, or the name that was meant."""

from __future__ import annotations

import pytest

from llmops.errors import NotFoundError
from llmops.store import connection, registry
from llmops.store.missing import SHOWN, missing


def versions(name: str, count: int) -> None:
    client = connection.client()
    client.create_registered_model(name)
    for _ in range(count):
        client.create_model_version(name, "file:///nowhere")


def test_the_versions_that_exist_are_named(store: str) -> None:
    versions("bot", 2)
    with pytest.raises(
        NotFoundError, match=r"no such version in .*; bot has the versions 1, 2\n"
    ) as error:
        registry.version_record("bot", "9")
    assert error.value.next_command == "llmops show models:/bot/2"
    with pytest.raises(
        NotFoundError, match="no version has the alias 'champion'; bot has the versions"
    ):
        registry.parse("models:/bot@champion")


def test_of_many_versions_the_latest_are_named(store: str) -> None:
    versions("bot", SHOWN + 6)
    error = missing("models:/bot/99: no such version", "bot")
    assert error.message.endswith("bot has 11 versions, the latest 7, 8, 9, 10, 11")
    assert error.next_command == "llmops show models:/bot/11"


def test_a_slip_of_the_pen_is_recognised(store: str) -> None:
    versions("quickstart", 3)
    with pytest.raises(NotFoundError, match=r"did you mean quickstart\?") as error:
        registry.version_record("quikstart", "1")
    assert error.value.next_command == "llmops show models:/quickstart/3"
    with pytest.raises(NotFoundError, match=r"did you mean quickstart\?"):
        registry.latest_version("quickstat")


@pytest.mark.parametrize("name", ["zzz", "it's", "a" * 300, "ü"])
def test_without_a_similar_name_some_are_listed(store: str, name: str) -> None:
    versions("bot", 1)
    error = missing("models:/…/1: no such version", name)
    assert error.message.endswith("registered models: bot")
    assert error.next_command == "llmops show models:/bot/1"


def test_an_empty_registry_is_said_to_be_empty(store: str) -> None:
    error = missing("models:/bot/1: no such version", "bot")
    assert error.message.endswith("the registry has no models")
    assert error.next_command == "llmops run quickstart"
