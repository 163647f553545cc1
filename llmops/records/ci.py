"""What a CI job is about: commit, branch, pull request. Read from the variables that the CI sets.

Fixed names, one function for each CI: GitHub Actions, GitLab, Jenkins, Buildkite, Azure Pipelines. Only
GitHub keeps some of it in a file, the event's payload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from llmops.errors import masked

Environ = Mapping[str, str]

LONGEST = 250
"""Most characters of a value, which becomes a tag of a run."""
LARGEST_EVENT = 10_000_000
"""Bytes of an event's payload that are read; GitHub's own limit is 25 MB, typical are 30 kB."""

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_GITHUB_PULL = re.compile(r"refs/pull/(\d+)/")


@dataclass(frozen=True)
class CiContext:
    """The job that this process is part of. A field is ``None`` if the CI does not say.

    Attributes:
        provider: ``github``, ``gitlab``, ``jenkins``, ``buildkite`` or ``azure``; empty outside a CI.
        commit: Commit under test; for a pull request its head, not the commit that merges it.
        branch: Branch of that commit.
        pull_request: Number of the pull request or merge request.
        default_branch: Whether the job runs for the repository's default branch; ``False`` for a
            pull request, also one from another repository's default branch.
        job_url: Page of the job, without credentials.
        actor: Who started it.
    """

    provider: str = ""
    commit: str | None = None
    branch: str | None = None
    pull_request: str | None = None
    default_branch: bool | None = None
    job_url: str | None = None
    actor: str | None = None


def ci_context(environ: Environ) -> CiContext:
    """Return what the environment says about the CI job; never raises.

    Args:
        environ: Environment variables, such as ``os.environ``.

    Example:
        import os

        from llmops.records.ci import ci_context

        print(ci_context(os.environ).pull_request)  # such as "123"; None outside a pull request
    """
    for variable, provider, read in _READERS:
        if environ.get(variable, "").lower() not in ("", "false", "0"):
            return CiContext(provider, **_cleaned(read(environ)))
    return CiContext()


def _github(environ: Environ) -> dict[str, Any]:
    event = _event(environ.get("GITHUB_EVENT_PATH", ""))
    pull = event.get("pull_request")
    pull = pull if isinstance(pull, dict) else {}
    number = _GITHUB_PULL.match(environ.get("GITHUB_REF", ""))
    request = number[1] if number else pull.get("number")
    branch = environ.get("GITHUB_HEAD_REF")
    if not branch and environ.get("GITHUB_REF_TYPE") == "branch" and not request:
        branch = environ.get("GITHUB_REF_NAME")
    repository = event.get("repository")
    default = repository.get("default_branch") if isinstance(repository, dict) else None
    head = pull.get("head")
    return {
        "commit": (isinstance(head, dict) and head.get("sha")) or environ.get("GITHUB_SHA"),
        "branch": branch,
        "pull_request": request,
        "default_branch": _is_default(branch, default, request),
        "job_url": _github_page(environ),
        "actor": environ.get("GITHUB_TRIGGERING_ACTOR") or environ.get("GITHUB_ACTOR"),
    }


def _github_page(environ: Environ) -> str | None:
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environ.get(name) for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None


def _event(path: str) -> dict[str, Any]:
    """Return the payload of the event that started a GitHub job; empty if it cannot be read."""
    try:
        file = Path(path)
        if not file.is_file() or file.stat().st_size > LARGEST_EVENT:  # /dev/zero has no end
            return {}
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _gitlab(environ: Environ) -> dict[str, Any]:
    request = environ.get("CI_MERGE_REQUEST_IID")
    branch = environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or environ.get("CI_COMMIT_BRANCH")
    return {
        # The first is set where the pipeline runs on the merged result.
        "commit": environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environ.get("CI_COMMIT_SHA"),
        "branch": branch,
        "pull_request": request,
        "default_branch": _is_default(branch, environ.get("CI_DEFAULT_BRANCH"), request),
        "job_url": environ.get("CI_JOB_URL"),
        "actor": environ.get("GITLAB_USER_LOGIN"),
    }


def _jenkins(environ: Environ) -> dict[str, Any]:
    request = environ.get("CHANGE_ID")
    named = environ.get("BRANCH_NAME") or environ.get("GIT_BRANCH", "").removeprefix("origin/")
    # BRANCH_NAME is PR-24 in a pull request, and the tag's name where a tag is built.
    other = request or environ.get("TAG_NAME")
    primary = True if environ.get("BRANCH_IS_PRIMARY") == "true" else None
    return {
        "commit": environ.get("GIT_COMMIT"),
        "branch": environ.get("CHANGE_BRANCH") if other else named,
        "pull_request": request,
        "default_branch": False if request else primary,
        "job_url": environ.get("BUILD_URL"),
        "actor": environ.get("CHANGE_AUTHOR") or environ.get("BUILD_USER_ID"),
    }


def _buildkite(environ: Environ) -> dict[str, Any]:
    request = environ.get("BUILDKITE_PULL_REQUEST")
    request = None if request == "false" else request
    branch = None if environ.get("BUILDKITE_TAG") else environ.get("BUILDKITE_BRANCH")
    page, job = environ.get("BUILDKITE_BUILD_URL"), environ.get("BUILDKITE_JOB_ID")
    return {
        "commit": environ.get("BUILDKITE_COMMIT"),
        "branch": branch,
        "pull_request": request,
        "default_branch": _is_default(
            branch, environ.get("BUILDKITE_PIPELINE_DEFAULT_BRANCH"), request
        ),
        "job_url": f"{page}#{job}" if page and job else page,
        "actor": environ.get("BUILDKITE_BUILD_CREATOR"),
    }


def _azure(environ: Environ) -> dict[str, Any]:
    request = environ.get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER")
    request = request or environ.get("SYSTEM_PULLREQUEST_PULLREQUESTID")
    source = environ.get("SYSTEM_PULLREQUEST_SOURCEBRANCH") or environ.get("BUILD_SOURCEBRANCH", "")
    named = source.removeprefix("refs/heads/")
    names = ("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID")
    server, project, build = (environ.get(name) for name in names)
    page = None
    if server and project and build:
        page = f"{server.rstrip('/')}/{quote(project)}/_build/results?buildId={build}"
    return {
        "commit": environ.get("SYSTEM_PULLREQUEST_SOURCECOMMITID")
        or environ.get("BUILD_SOURCEVERSION"),
        "branch": None if named.startswith("refs/") else named,
        "pull_request": request,
        "default_branch": False if request else None,  # no variable names the default branch
        "job_url": page,
        "actor": environ.get("BUILD_REQUESTEDFOR"),
    }


def _is_default(branch: str | None, default: object, request: object) -> bool | None:
    if request:
        return False
    return branch == default if branch and default else None


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as short printable texts without credentials; what is none is ``None``."""
    found: dict[str, Any] = {"default_branch": values.pop("default_branch")}
    for name, value in values.items():
        text = "".join(c for c in masked(str(value or "")) if c.isprintable()).strip()
        found[name] = text[:LONGEST] or None
    if found["commit"] and not _COMMIT.fullmatch(found["commit"]):
        found["commit"] = None  # Buildkite says HEAD until the job has checked out
    if found["pull_request"] and not found["pull_request"].isdecimal():
        found["pull_request"] = None
    return found


_READERS = (
    ("GITHUB_ACTIONS", "github", _github),
    ("GITLAB_CI", "gitlab", _gitlab),
    ("BUILDKITE", "buildkite", _buildkite),
    ("TF_BUILD", "azure", _azure),
    ("JENKINS_URL", "jenkins", _jenkins),
)
"""Variable that marks the CI, its name, and its reader."""
