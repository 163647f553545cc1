"""Find the adapter of a version's immutable name in MLflow's registry, for somebody's own vLLM.

This runs inside vLLM's Python, where only ``mlflow-skinny`` is installed beside this package. A name
that cannot be served gives ``None``, which vLLM answers with 404; the reason is in its log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Collection
from pathlib import Path

from llmops.errors import IntegrityError, LlmopsError, UsageError, first_line
from llmops.models import adapters, bases, versions, vllm_limits
from llmops.records.names import MODEL_NAME
from llmops.store import connection

ENABLED = "LLMOPS_VLLM_RESOLVER"
"""Environment variable: ``1`` switches the resolver on."""
MODELS = "LLMOPS_VLLM_MODELS"
"""Environment variable: registered models that may be served, separated by commas."""
NAME = re.compile(rf"(?P<model>{MODEL_NAME.pattern})@v(?P<version>[1-9][0-9]{{0,8}})")
"""Name of a version. An alias is none: vLLM would serve the same version for ever after it moved."""

log = logging.getLogger("vllm.llmops")  # below vLLM's own logger, so that it is shown


def enabled() -> bool:
    """Return whether the resolver is switched on; if so, log which models it may serve."""
    if os.environ.get(ENABLED) != "1":
        return False
    models = allowed()
    if models:
        log.info("llmops resolves versions of: %s", ", ".join(sorted(models)))
    else:
        log.warning("llmops resolves nothing: %s names no registered model", MODELS)
    return True


def allowed() -> Collection[str]:
    """Return the registered models that may be served; none if nothing is set."""
    named = os.environ.get(MODELS, "").split(",")
    return {name.strip() for name in named if name.strip()}


async def adapter_of(base: str, name: str) -> Path | None:
    """Return the verified directory of a version's adapter, downloaded if needed.

    Args:
        base: The model that vLLM serves, a directory.
        name: The name in a request, such as ``bot@v7``.

    Returns:
        The directory; ``None`` if the name is not a version that may be served over this base.
    """
    match = NAME.fullmatch(name)
    if match is None or match["model"] not in allowed():
        return None
    try:
        return await asyncio.to_thread(_fetch, Path(base), match["model"], match["version"])
    except LlmopsError as error:
        log.warning("%s is not served: %s", name, first_line(error))
    except Exception:  # vLLM would answer with 500, and not say why
        log.exception("%s is not served", name)
    return None


def _fetch(base: Path, model: str, version: str) -> Path:
    """Return the directory of an adapter, checked against its pin, its base and vLLM's limits.

    Raises:
        LlmopsError: There is no such version, its bytes differ, or it does not fit.
    """
    connection.connect()
    _, pin = versions.pinned_version(model, version)
    if pin.adapter_digest is None:
        raise UsageError("it is a full model, not an adapter")
    if not base.is_dir():
        raise UsageError(f"vLLM serves {base}, which is no directory whose bytes could be compared")
    try:
        bases.at(base, pin.digest)
    except IntegrityError as error:
        raise IntegrityError(f"its base is {pin.base}, and vLLM serves another: {error}") from error
    found = adapters.fetch(f"models:/{model}/{version}", pin.adapter_digest)
    folder = found / adapters.ADAPTER_FOLDER
    reason = vllm_limits.unservable_files(folder, adapters.tokenizer_of(found))
    if reason is not None:
        raise UsageError(f"vLLM cannot serve it: {reason}")
    return folder
