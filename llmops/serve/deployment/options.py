"""Options of a deployment: their values are checked before anything starts."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from llmops.errors import UsageError
from llmops.serve.auth import header
from llmops.serve.deployment import address, origins, tls
from llmops.serve.deployment.config import ALLOW, REFUSE, Config
from llmops.serve.engines.protocol import AUTO, LOCAL, VLLM

ENGINES = (AUTO, LOCAL, VLLM)
HOOK = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""A function by the name of its module, such as ``my_package.privacy:redact``."""
NOT_OPTIONS = ("name", "uri", "key_hash")
"""Fields of ``Config`` that are no options."""
LEAST = {"port": 0, "queue": 0, "concurrency": 1, "max_tokens": 1, "max_body": 1024}
"""Least values of the options that count something."""


class Options(TypedDict, total=False):
    """The options of ``create`` and ``run``; ``Config`` explains each."""

    follow: bool
    host: str
    port: int
    engine: str
    unproven: str
    cors: Sequence[str]
    tls_cert: str | None
    tls_key: str | None
    vllm: str | None
    vllm_args: Sequence[str]
    merged: bool
    memory: float | None
    queue: int
    concurrency: int | None
    max_tokens: int
    max_body: int
    stall: float
    traces: bool
    trace_sample: float
    trace_content: bool
    redact: str | None
    experiment: str | None


def names() -> list[str]:
    """Return the names of the options."""
    fields = [field.name for field in dataclasses.fields(Config)]
    return [name for name in fields if name not in NOT_OPTIONS]


def near(given: str, known: Collection[str]) -> str:
    """Return ``(did you mean …?)`` if a known word is close to the given one, else nothing."""
    found = difflib.get_close_matches(given.lower(), known, n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def check_known(option: str) -> None:
    """Refuse an option that does not exist.

    Raises:
        UsageError: It is unknown; the message has those that exist.
    """
    if option not in names():
        raise UsageError(
            f"option {option!r}: unknown{near(option, names())}; allowed: {', '.join(names())}",
            next_command="mlflow deployments help -t llmops",
        )


def configure(name: str, uri: str, key: str | None, given: Mapping[str, Any]) -> Config:
    """Return the settings of a deployment, all values checked.

    Args:
        name: Name of the deployment.
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        key: A key that requests may carry; ``None`` or empty for none.
        given: Options, as in ``Options``.

    Raises:
        UsageError: An option is unknown, or a value is not allowed; or no HTTP header can carry
            the key.
    """
    for option in given:
        check_known(option)
    chosen: dict[str, Any] = {"host": address.LOOPBACK, "port": 0} | dict(given)
    chosen["follow"] = follows(uri, chosen.get("follow"))
    config = Config(name=name, uri=uri, **chosen)
    _check_words(config)
    _check_numbers(config)
    certificate, private = tls.check(config.tls_cert, config.tls_key)
    return dataclasses.replace(
        config,
        cors=origins.read(config.cors),
        vllm_args=tuple(config.vllm_args),
        vllm=None if config.vllm is None else _interpreter(config.vllm),
        tls_cert=certificate,
        tls_key=private,
        key_hash=header.digest(header.check(key)) if key else None,
    )


def follows(uri: str, wanted: bool | None) -> bool:
    """Return whether a deployment follows its URI: an alias, unless that is not wanted.

    Raises:
        UsageError: It should follow a version, which never changes.
    """
    alias = "@" in uri
    if wanted and not alias:
        raise UsageError(
            f"follow=true: {uri} is one version, which never changes; only an alias can be followed",
            next_command="name an alias, such as models:/bot@champion, or omit `follow`",
        )
    return alias and wanted is not False


def _check_words(config: Config) -> None:
    for option, allowed in (("engine", ENGINES), ("unproven", (REFUSE, ALLOW))):
        value = getattr(config, option)
        if value not in allowed:
            raise UsageError(
                f"{option} {value!r}: not allowed{near(str(value), allowed)};"
                f" allowed: {', '.join(allowed)}"
            )
    if config.redact is not None and not HOOK.fullmatch(config.redact):
        raise UsageError(
            f"redact {config.redact!r}: expected MODULE:FUNCTION, such as my_package.privacy:redact"
        )
    if config.experiment is not None and not config.experiment.strip():
        raise UsageError("experiment: the name is blank; omit it for NAME-serving")


def _check_numbers(config: Config) -> None:
    for option, least in LEAST.items():
        value = getattr(config, option)
        if value is not None and value < least:
            raise UsageError(f"{option} {value}: must be at least {least}")
    _check(config, "memory", lambda share: 0 < share <= 1, "above 0 and at most 1")
    _check(config, "trace_sample", lambda share: 0 <= share <= 1, "between 0 and 1")
    _check(config, "stall", lambda seconds: 0 < seconds <= 3600, "above 0 and at most 3600 seconds")


def _check(config: Config, option: str, allowed: Callable[[float], bool], words: str) -> None:
    value = getattr(config, option)
    if value is not None and not allowed(value):  # also if it is not a number
        raise UsageError(f"{option} {value}: must be {words}")


def _interpreter(given: str) -> str:
    """Return the absolute path of an interpreter; links stay, they make a virtual environment.

    Raises:
        UsageError: There is no such program.
    """
    path = Path(given).expanduser().absolute()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise UsageError(
            f"vllm {given!r}: not a program",
            next_command="name the Python interpreter of the environment with vLLM, such as"
            " -C vllm=$PWD/.vllm/bin/python",
        )
    return str(path)
