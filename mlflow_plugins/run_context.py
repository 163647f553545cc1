"""Tags every MLflow run with the git commit of the working directory's repository.

MLflow imports this module at ``import mlflow``: it stays with the standard library and mlflow,
does no work when imported, and never raises, since an error here would break MLflow itself.
"""

from __future__ import annotations

import os
import subprocess

from mlflow.tracking.context.abstract_context import RunContextProvider

COMMIT = "llmops.git_commit"
SECONDS = 2.0


class LlmopsRunContext(RunContextProvider):  # type: ignore[misc]
    """Adds ``llmops.git_commit`` (with ``-dirty`` where files differ from it)."""

    def in_context(self) -> bool:
        """Whether there is something to add: always asked, cheap to answer."""
        return os.environ.get("LLMOPS_GIT_TAG", "1") != "0"

    def tags(self) -> dict[str, str]:
        """The tag, or nothing outside a repository or without git."""
        commit = _git("rev-parse", "HEAD")
        if not commit:
            return {}
        dirty = "-dirty" if _git("status", "--porcelain", "--untracked-files=no") else ""
        return {COMMIT: commit[:12] + dirty}


def _git(*arguments: str) -> str:
    """Output of a git command, empty if it fails for whatever reason."""
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
