"""Names of models and aliases that the registry accepts."""

from __future__ import annotations

import re

from llmops.errors import ConfigError

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}")

RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


def check_model_name(name: str) -> str:
    """Return the name of a registered model, if it is valid.

    Raises:
        ConfigError: The name is empty, too long, or has characters that no registry URI can hold.
    """
    if not MODEL_NAME.fullmatch(name):
        raise ConfigError(
            [
                f"model name {name!r}: expected at most 128 letters, digits, `.`, `_` and `-`,"
                " the first a letter or digit"
            ]
        )
    return name


def check_alias(alias: str) -> str:
    """Return an alias, if it is valid.

    Raises:
        ConfigError: The alias is empty, too long, has other characters, or is reserved by MLflow.
    """
    if not ALIAS.fullmatch(alias) or RESERVED_ALIAS.fullmatch(alias):
        raise ConfigError(
            [
                f"alias {alias!r}: expected at most 255 letters, digits, `_` and `-`, the first a"
                " letter; `latest` and v1, v2 … are reserved"
            ]
        )
    return alias
