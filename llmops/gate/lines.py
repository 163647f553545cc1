"""The name of the candidate line to which a push belongs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from llmops.errors import UsageError
from llmops.records.ci import ci_context

LOCAL = "local"
"""Line of a folder that is in no repository, or on no branch."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@#+-]{0,199}")
SECONDS = 5.0
"""Seconds that git may take."""


def line_name(environ: Mapping[str, str], cwd: Path) -> str:
    """Return the candidate line: the pull request of the CI job, else the git branch, else ``local``.

    Args:
        environ: The environment, in which ``LLMOPS_LINE`` names the line.
        cwd: The working folder.

    Raises:
        UsageError: ``LLMOPS_LINE`` is no name.
    """
    named = environ.get("LLMOPS_LINE", "").strip()
    if named:
        return check_line(named, "LLMOPS_LINE")
    job = ci_context(environ)
    if job.pull_request:
        return f"pr-{job.pull_request}"
    branch = job.branch or _branch(cwd)  # a CI job often has no branch checked out
    # A branch may have any letters: what is no name becomes one, always the same.
    return re.sub(r"[^A-Za-z0-9._/@#+-]+", "-", branch).strip("-./")[:200] or LOCAL


def check_line(name: str, where: str) -> str:
    """Return the name of a line, if it is valid.

    Args:
        name: The name.
        where: What named it, for an error.

    Raises:
        UsageError: It is too long or has other characters.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{where} {name!r}: expected at most 200 letters, digits and . _ / @ # + -, the first a"
            " letter or digit",
            next_command="--line pr-123",
        )
    return name


def _branch(cwd: Path) -> str:
    """Return the branch that is checked out; empty without a repository, a branch or git."""
    try:
        done = subprocess.run(
            ["git", "symbolic-ref", "--quiet", "--short", "HEAD"],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
