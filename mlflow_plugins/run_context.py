"""Tag every MLflow run with its commit, and in a CI with branch, pull request and job.

MLflow imports this module at ``import mlflow``. So it imports only the standard library and mlflow,
does no work when imported, and never raises: an error here would break MLflow itself.
"""

from __future__ import annotations

import os
import subprocess

from mlflow.tracking.context.abstract_context import RunContextProvider

SECONDS = 2.0
"""Seconds that git may take."""
STATUS = ("--porcelain=v2", "--branch", "--untracked-files=no")


class LlmopsRunContext(RunContextProvider):  # type: ignore[misc]
    """Provider of tags: commit (``-dirty`` if tracked files were changed), branch, pull request, job."""

    def in_context(self) -> bool:
        """Return whether to add tags; MLflow asks for every run, so this must be cheap."""
        return os.environ.get("LLMOPS_GIT_TAG", "1") != "0"

    def tags(self) -> dict[str, str]:
        """Return the tags; none outside a repository and a CI, or if anything fails."""
        try:
            return _tags()
        except Exception:  # whatever it is, MLflow must start its run
            return {}


def _tags() -> dict[str, str]:
    from llmops.records.ci import ci_context
    from llmops.store import tags

    ci, (commit, branch, dirty) = ci_context(os.environ), _git()
    commit = ci.commit or commit
    found = {
        tags.GIT_COMMIT: commit and commit[:12] + dirty,
        tags.GIT_BRANCH: ci.branch or branch,
        tags.PULL_REQUEST: ci.pull_request,
        tags.JOB_URL: ci.job_url,
    }
    return {name: value for name, value in found.items() if value}


def _git() -> tuple[str, str, str]:
    """Return commit, branch, and a suffix for changed files; empty without a repository or git."""
    command = ["git", "--no-optional-locks", "status", *STATUS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return "", "", ""
    lines = done.stdout.splitlines()
    said = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    branch, changed = said.get("branch.head", ""), any(line[0] != "#" for line in lines)
    commit = said.get("branch.oid", "").replace("(initial)", "")
    return commit, "" if branch == "(detached)" else branch, "-dirty" if changed else ""
