"""Tag every MLflow run with the git commit of the repository around the working directory.

MLflow imports this module at ``import mlflow``. So it imports only the standard library and mlflow,
does no work when imported, and never raises: an error here would break MLflow itself.
"""

from __future__ import annotations

import os
import subprocess

from mlflow.tracking.context.abstract_context import RunContextProvider

COMMIT = "llmops.git_commit"
"""The tag's name."""
SECONDS = 2.0
"""Seconds that git may take."""


class LlmopsRunContext(RunContextProvider):  # type: ignore[misc]
    """Provider of the tag ``llmops.git_commit``, with ``-dirty`` if tracked files were changed."""

    def in_context(self) -> bool:
        """Return whether to add a tag; MLflow asks for every run, so this must be cheap."""
        return os.environ.get("LLMOPS_GIT_TAG", "1") != "0"

    def tags(self) -> dict[str, str]:
        """Return the tag; nothing outside a repository, or without git."""
        commit = _git("rev-parse", "HEAD")
        if not commit:
            return {}
        dirty = "-dirty" if _git("status", "--porcelain", "--untracked-files=no") else ""
        return {COMMIT: commit[:12] + dirty}


def _git(*arguments: str) -> str:
    """Return the output of a git command, empty if it fails for any reason."""
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
