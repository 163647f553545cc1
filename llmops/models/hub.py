"""The Hugging Face hub, used only for an id that the user named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from llmops.errors import NotFoundError, first_line
from llmops.files import digest

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class Snapshot(NamedTuple):
    """Files of a hub repository at one commit, in the cache of ``huggingface_hub``."""

    directory: Path
    origin: str
    """``hub:OWNER/NAME@COMMIT``."""


def download(repository: str, revision: str | None = None) -> Snapshot:
    """Download a model or an adapter at one revision, without any pickle file or code.

    Args:
        repository: ``OWNER/NAME``.
        revision: Branch, tag or commit; ``None`` is the newest commit of the main branch.

    Raises:
        NotFoundError: The hub does not have the repository, or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [f"*{suffix}" for suffix in digest.MODEL_SUFFIXES]
    try:
        path = Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        at = f"@{revision}" if revision else ""
        reason = first_line(error)
        raise NotFoundError(
            f"hub model {repository}{at}: cannot be downloaded: {reason}",
            next_command="check the id, HF_ENDPOINT and HF_TOKEN, or `llmops base add DIRECTORY`",
        ) from error
    return Snapshot(path, f"hub:{repository}@{path.name}")  # the cache names folders by commit
