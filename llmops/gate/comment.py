"""One comment on a pull request that is updated in place: on GitHub, or as a note on GitLab.

A hidden first line marks the comment, so that the next push finds it. The token is sent to the address
that the CI itself names, over https, or to this machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from llmops.errors import LlmopsError, UsageError, first_line
from llmops.records.ci import ci_context

SECONDS = 10.0
"""Time for each request: a job must not wait for a comment."""
PER_PAGE, MOST_PAGES = 100, 50
LONGEST = 65_000
"""Characters of a comment; GitHub takes 65,536."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Thread:
    """The comments of one pull request.

    Attributes:
        comments: URL that lists them, and takes a new one.
        one: URL of one comment, with ``{}`` for its id.
        update: HTTP method that changes one.
        headers: Headers with the token.
    """

    comments: str
    one: str
    update: str
    headers: Mapping[str, str]


def post_comment(text: str, subject: str, environ: Mapping[str, str]) -> str:
    """Write the comment of a gate on the pull request of this job, or update the earlier one.

    Args:
        text: Markdown.
        subject: What is gated, such as the policy's file; each subject has a comment of its own.
        environ: Environment variables of the job, with ``GITHUB_TOKEN`` or ``GITLAB_TOKEN``.

    Returns:
        Address of the comment's page; empty if the server does not say.

    Raises:
        UsageError: The job is not of a pull request on GitHub or GitLab, or has no token.
        LlmopsError: The server refuses, such as a token that may only read, or does not answer.

    Example:
        import os

        from llmops.gate.comment import post_comment

        print(post_comment("## PASSED", "gate.yaml", os.environ))
    """
    thread = _thread(environ)
    mark = f"<!-- llmops gate {hashlib.sha256(subject.encode()).hexdigest()[:16]} -->"
    body = f"{mark}\n{text}"[:LONGEST]
    try:
        with httpx.Client(headers=dict(thread.headers), timeout=SECONDS) as client:
            known = _earlier(client, thread, mark)
            method, url = ("POST", thread.comments)
            if known is not None:
                method, url = thread.update, thread.one.format(known)
            written = _asked(client, method, url, json={"body": body})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LlmopsError(
            f"{thread.comments}: {type(error).__name__}: {first_line(error)}"
        ) from None
    page = written.get("html_url") if isinstance(written, dict) else None
    return str(page or "")


def _thread(environ: Mapping[str, str]) -> Thread:
    job = ci_context(environ)
    if job.provider not in ("github", "gitlab"):
        raise UsageError(
            f"comments are written in jobs of GitHub and GitLab, this is {job.provider or 'no job'}"
        )
    if job.pull_request is None:
        raise UsageError("this job is not of a pull request")
    return (_on_github if job.provider == "github" else _on_gitlab)(environ, job.pull_request)


def _on_github(environ: Mapping[str, str], number: str) -> Thread:
    api = _checked(environ.get("GITHUB_API_URL") or "https://api.github.com")
    repository = f"{api}/repos/{quote(environ.get('GITHUB_REPOSITORY', ''))}"
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not token:
        raise UsageError(
            "GITHUB_TOKEN: not set",
            next_command="env: {GITHUB_TOKEN: '${{ github.token }}'}  (in the workflow's step)",
        )
    return Thread(
        comments=f"{repository}/issues/{number}/comments",
        one=f"{repository}/issues/comments/{{}}",
        update="PATCH",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
    )


def _on_gitlab(environ: Mapping[str, str], number: str) -> Thread:
    api = _checked(environ.get("CI_API_V4_URL") or "https://gitlab.com/api/v4")
    # A fork's pipeline runs in the fork; the merge request is in the project it is for.
    project = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID", "")
    notes = f"{api}/projects/{quote(project, safe='')}/merge_requests/{number}/notes"
    token = environ.get("GITLAB_TOKEN")
    if not token:
        raise UsageError(
            "GITLAB_TOKEN: not set; GitLab's job token cannot write notes",
            next_command="add a project access token with the scope api as a masked variable",
        )
    return Thread(notes, f"{notes}/{{}}", "PUT", {"PRIVATE-TOKEN": token})


def _checked(api: str) -> str:
    """Return the API's address, if a token may be sent there."""
    parts = urlsplit(api)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise UsageError(f"{api}: a token is sent over https only")
    return api.rstrip("/")


def _earlier(client: httpx.Client, thread: Thread, mark: str) -> int | None:
    """Return the id of the comment that begins with the mark; a quotation of it does not."""
    for page in range(1, MOST_PAGES + 1):
        url = f"{thread.comments}?per_page={PER_PAGE}&page={page}"
        found = _asked(client, "GET", url)
        if not isinstance(found, list):
            raise LlmopsError(f"{thread.comments}: expected a list of comments")
        for each in found:
            if str(each.get("body", "")).startswith(mark):
                return int(each["id"])
        if len(found) < PER_PAGE:
            return None
    return None


def _asked(client: httpx.Client, method: str, url: str, **content: Any) -> Any:
    """Return the answer of the API.

    Raises:
        LlmopsError: It refuses.
    """
    answer = client.request(method, url, **content)
    if not answer.is_success:
        hint = " (a token that may only read, as in a fork?)" if answer.status_code == 403 else ""
        raise LlmopsError(f"{method} {url}: HTTP {answer.status_code}{hint}")
    try:
        return answer.json()
    except ValueError:
        raise LlmopsError(f"{method} {url}: the answer is not JSON") from None
