"""llmops: your data in, a small model you own out, no champion without proof.

Names are loaded when they are first used, so that ``import llmops`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmops.flavor import load_model, log_model
    from llmops.gate import promote
    from llmops.pipeline import check, run

__version__ = "0.1.0"

_HOME = {
    "check": "llmops.pipeline",
    "load_model": "llmops.flavor",
    "log_model": "llmops.flavor",
    "promote": "llmops.gate",
    "run": "llmops.pipeline",
}

__all__ = ["__version__", "check", "load_model", "log_model", "promote", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'llmops' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
