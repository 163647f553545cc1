"""Names that registries take: of models and of aliases."""

from __future__ import annotations

import re

from llmops.errors import ConfigError

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}")

RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


def check_model_name(name: str) -> str:
    """Returns a registered model's name if it is one.

    Raises:
        ConfigError: It holds characters that registry URIs cannot carry.
    """
    if not MODEL_NAME.fullmatch(name):
        raise ConfigError(
            [
                f"model name {name!r}: letters, digits, `.`, `_` and `-` only,"
                " beginning with a letter or digit, at most 128 characters"
            ]
        )
    return name


def check_alias(alias: str) -> str:
    """Returns an alias if the registry takes it.

    Raises:
        ConfigError: It holds other characters, or is one of the registry's own.
    """
    if not ALIAS.fullmatch(alias) or RESERVED_ALIAS.fullmatch(alias):
        raise ConfigError(
            [
                f"alias {alias!r}: letters, digits, `_` and `-` only, beginning with a letter;"
                " `latest` and v1, v2 … are the registry's own"
            ]
        )
    return alias
