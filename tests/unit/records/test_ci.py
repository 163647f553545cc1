"""The variables of each CI, as its documentation gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.records.ci import CiContext, ci_context

HEAD, MERGE = "a" * 40, "b" * 40
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": MERGE,
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/bot",
    "GITHUB_RUN_ID": "99",
    "GITHUB_ACTOR": "ann",
}
GITHUB_PAGE = "https://github.com/acme/bot/actions/runs/99"
GITLAB = {
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": HEAD,
    "CI_DEFAULT_BRANCH": "main",
    "CI_JOB_URL": "https://gitlab.com/acme/bot/-/jobs/5",
    "GITLAB_USER_LOGIN": "ann",
}
JENKINS = {
    "JENKINS_URL": "https://ci.example/",
    "GIT_COMMIT": HEAD,
    "BUILD_URL": "https://ci.example/job/bot/7/",
}
BUILDKITE = {
    "BUILDKITE": "true",
    "BUILDKITE_COMMIT": HEAD,
    "BUILDKITE_BRANCH": "shorter",
    "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main",
    "BUILDKITE_BUILD_URL": "https://buildkite.com/acme/bot/builds/4",
    "BUILDKITE_JOB_ID": "0190-ab",
    "BUILDKITE_BUILD_CREATOR": "Ann",
}
AZURE = {
    "TF_BUILD": "True",
    "BUILD_SOURCEVERSION": HEAD,
    "BUILD_SOURCEBRANCH": "refs/heads/main",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/acme/",
    "SYSTEM_TEAMPROJECT": "my bot",
    "BUILD_BUILDID": "12",
    "BUILD_REQUESTEDFOR": "Ann",
}
AZURE_PAGE = "https://dev.azure.com/acme/my%20bot/_build/results?buildId=12"


def event(folder: Path, content: object) -> str:
    path = folder / "event.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_a_pull_request_on_github(tmp_path: Path) -> None:
    payload = {
        "number": 7,
        "pull_request": {"number": 7, "head": {"sha": HEAD}},
        "repository": {"default_branch": "main"},
    }
    found = ci_context(
        {
            **GITHUB,
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_HEAD_REF": "shorter",
            "GITHUB_EVENT_PATH": event(tmp_path, payload),
        }
    )
    assert found == CiContext("github", HEAD, "shorter", "7", False, GITHUB_PAGE, "ann")


@pytest.mark.parametrize(("branch", "default"), [("main", True), ("next", False)])
def test_a_push_on_github(tmp_path: Path, branch: str, default: bool) -> None:
    found = ci_context(
        {
            **GITHUB,
            "GITHUB_REF": f"refs/heads/{branch}",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_REF_NAME": branch,
            "GITHUB_EVENT_PATH": event(tmp_path, {"repository": {"default_branch": "main"}}),
        }
    )
    assert found == CiContext("github", MERGE, branch, None, default, GITHUB_PAGE, "ann")


def test_a_target_event_on_github_is_a_pull_request_too(tmp_path: Path) -> None:
    # Its GITHUB_REF is the base branch: taken for it, a fork's change would look like main.
    found = ci_context(
        {
            **GITHUB,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_REF_NAME": "main",
            "GITHUB_HEAD_REF": "main",
            "GITHUB_EVENT_PATH": event(
                tmp_path,
                {
                    "pull_request": {"number": 8, "head": {"sha": HEAD}},
                    "repository": {"default_branch": "main"},
                },
            ),
        }
    )
    assert (found.pull_request, found.default_branch, found.commit) == ("8", False, HEAD)


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"\xff\xfe", b'{"pull_request": 3, "repository": []}', b"[" * 100_000]
)
def test_an_event_that_cannot_be_read_leaves_the_variables(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(content)
    for place in (path, tmp_path / "none", tmp_path):
        found = ci_context({**GITHUB, "GITHUB_EVENT_PATH": str(place)})
        assert found == CiContext("github", MERGE, None, None, None, GITHUB_PAGE, "ann")


def test_a_merge_request_and_a_branch_on_gitlab() -> None:
    page = GITLAB["CI_JOB_URL"]
    request = {
        **GITLAB,
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "main",  # of a fork
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": MERGE,
    }
    assert ci_context(request) == CiContext("gitlab", MERGE, "main", "3", False, page, "ann")
    branch = ci_context({**GITLAB, "CI_COMMIT_BRANCH": "main"})
    assert branch == CiContext("gitlab", HEAD, "main", None, True, page, "ann")
    assert ci_context(GITLAB).default_branch is None, "a tag"


def test_a_change_a_branch_and_a_tag_on_jenkins() -> None:
    page = JENKINS["BUILD_URL"]
    change = {"CHANGE_ID": "24", "BRANCH_NAME": "PR-24", "CHANGE_BRANCH": "shorter"}
    assert ci_context({**JENKINS, **change, "CHANGE_AUTHOR": "ann"}) == CiContext(
        "jenkins", HEAD, "shorter", "24", False, page, "ann"
    )
    primary = ci_context({**JENKINS, "BRANCH_NAME": "main", "BRANCH_IS_PRIMARY": "true"})
    assert (primary.branch, primary.default_branch) == ("main", True)
    plain = ci_context({**JENKINS, "GIT_BRANCH": "origin/next"})
    assert (plain.branch, plain.default_branch) == ("next", None)
    assert ci_context({**JENKINS, "BRANCH_NAME": "v1.0", "TAG_NAME": "v1.0"}).branch is None


def test_a_pull_request_and_a_branch_on_buildkite() -> None:
    page = "https://buildkite.com/acme/bot/builds/4#0190-ab"
    pull = ci_context({**BUILDKITE, "BUILDKITE_PULL_REQUEST": "11"})
    assert pull == CiContext("buildkite", HEAD, "shorter", "11", False, page, "Ann")
    branch = ci_context(
        {**BUILDKITE, "BUILDKITE_PULL_REQUEST": "false", "BUILDKITE_COMMIT": "HEAD"}
    )
    assert branch == CiContext("buildkite", None, "shorter", None, False, page, "Ann")


def test_a_pull_request_and_a_branch_on_azure() -> None:
    pull = {
        **AZURE,
        "BUILD_SOURCEBRANCH": "refs/pull/5/merge",
        "BUILD_SOURCEVERSION": MERGE,
        "SYSTEM_PULLREQUEST_PULLREQUESTID": "512",
        "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER": "5",
        "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/shorter",
        "SYSTEM_PULLREQUEST_SOURCECOMMITID": HEAD,
    }
    assert ci_context(pull) == CiContext("azure", HEAD, "shorter", "5", False, AZURE_PAGE, "Ann")
    branch = ci_context(AZURE)
    assert branch == CiContext("azure", HEAD, "main", None, None, AZURE_PAGE, "Ann")
    assert ci_context({**AZURE, "BUILD_SOURCEBRANCH": "refs/tags/v1"}).branch is None


def test_outside_a_ci_nothing_is_known() -> None:
    assert ci_context({"GITHUB_SHA": HEAD}) == CiContext()
    assert ci_context({"GITHUB_ACTIONS": "false", "GITLAB_CI": ""}) == CiContext()


def test_no_value_carries_a_password_or_a_control_character() -> None:
    found = ci_context(
        {
            **JENKINS,
            "BUILD_URL": "https://ann:s3cret@ci.example/job/1?token=t0p",
            "BRANCH_NAME": "a\x1b[2J\nb" + "x" * 1_000,
            "CHANGE_ID": "7; rm",
        }
    )
    assert found.job_url == "https://***@ci.example/job/1?token=***"
    assert found.pull_request is None
    plain = ci_context({**JENKINS, "BRANCH_NAME": "a\x1b[2J\nb" + "x" * 1_000})
    assert plain.branch is not None
    assert plain.branch.startswith("a[2Jbx")
    assert len(plain.branch) == 250
