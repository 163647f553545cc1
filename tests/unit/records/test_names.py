from __future__ import annotations

import pytest

from llmops.errors import ConfigError
from llmops.records.names import check_alias, check_model_name


@pytest.mark.parametrize("name", ["a", "0", "org.bot-1.5_x", "x" * 128])
def test_a_name_that_a_registry_uri_can_carry(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a b", ".hidden", "-x", "é", "x" * 129, "a\n"])
def test_a_name_that_it_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"model name .* at most 128 letters"):
        check_model_name(name)


@pytest.mark.parametrize("alias", ["champion", "A", "vision", "v1x", "x" * 255])
def test_an_alias_that_the_registry_takes(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize("alias", ["", "1", "v1", "V22", "latest", "LATEST", "a b", "x" * 256])
def test_an_alias_of_the_registry_s_own_is_refused(alias: str) -> None:
    with pytest.raises(ConfigError, match="are reserved"):
        check_alias(alias)
