"""The files of a version, collected from a user's model; an adapter's base is registered first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmops.flavor import given, source
from llmops.flavor.bases import ensure_base
from llmops.flavor.options import SourceOptions
from llmops.flavor.source import Source
from llmops.records import BaseModel


def collect(model: Any, folder: Path, options: SourceOptions) -> Source:
    """Collect the files of a version from a model in any form.

    Args:
        model: See ``flavor.log_model``.
        folder: Empty folder of a ``staging()``.
        options: Which model is meant, and what belongs to it.

    Raises:
        UsageError: The input is no model, or an argument does not apply to it.
        LlmopsError: A file is missing, damaged or unsafe; the adapter does not fit its base.
    """
    received = given.receive(model, folder, options)
    base = received.base(options.base)
    registered = (
        base
        if base is None or isinstance(base, BaseModel)
        else ensure_base(base, revision=received.revision(base))
    )
    return source.of_given(received, registered, folder)
