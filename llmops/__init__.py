"""llmops: your data in, a small model you own out, no champion without proof.

Names are loaded when they are first used, so that ``import llmops`` stays light.
"""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import Signature, signature
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmops.flavor import load_model, log_model
    from llmops.gate import promote
    from llmops.judging import check, compare, gate
    from llmops.pipeline import run
    from llmops.recipe import load_policy, load_recipe

__version__ = "0.1.0"

_HOME = {
    "check": "llmops.judging",
    "compare": "llmops.judging",
    "gate": "llmops.judging",
    "load_policy": "llmops.recipe",
    "load_model": "llmops.flavor",
    "load_recipe": "llmops.recipe",
    "log_model": "llmops.flavor",
    "promote": "llmops.gate",
    "run": "llmops.pipeline",
}

__all__ = [
    "__version__",
    "check",
    "compare",
    "gate",
    "load_model",
    "load_policy",
    "load_recipe",
    "log_model",
    "promote",
    "run",
]


class _Stage(ModuleType):
    """A stage's package that can be called like the function of its name.

    Once a package is imported, Python no longer asks ``__getattr__`` for its name, so the package itself
    must answer the call.
    """

    def __call__(self, *given: Any, **named: Any) -> Any:
        return _loaded(self.__name__.removeprefix("llmops."))(*given, **named)

    @property
    def __signature__(self) -> Signature:
        return signature(_loaded(self.__name__.removeprefix("llmops.")))


def make_callable(package: str) -> None:
    """Let a stage's package be called: ``llmops.compare(…)`` beside ``llmops.compare.load_suite``."""
    sys.modules[package].__class__ = _Stage


def _loaded(name: str) -> Any:
    return getattr(import_module(_HOME[name]), name)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'llmops' has no attribute {name!r}")
    if name in ("compare", "gate"):
        return import_module(f"llmops.{name}")
    return _loaded(name)


def __dir__() -> list[str]:
    return sorted(__all__)
