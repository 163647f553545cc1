"""Lets a stage's package be called like its function: ``llmops.compare(…)``.

A package and its main function share the stage's name. Importing ``llmops.compare`` binds the
name to the module, so the module itself must answer a call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module_name: str, function: Callable[..., Any]) -> None:
    """Makes calls of an imported module go to a function of it."""

    class CallableModule(ModuleType):
        __doc__ = function.__doc__

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

    sys.modules[module_name].__class__ = CallableModule
