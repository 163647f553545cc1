"""One comment, updated in place, against servers that answer as GitHub and GitLab do."""

from __future__ import annotations

import pytest
from comment_server import TOKEN, github, gitlab, on_github, on_gitlab

from llmops.errors import LlmopsError, UsageError
from llmops.gate.comment import post_comment


@pytest.mark.parametrize(
    ("server", "job", "change"), [(github, on_github, "PATCH"), (gitlab, on_gitlab, "PUT")]
)
def test_the_first_push_writes_a_comment_and_the_next_updates_it(server, job, change) -> None:
    with server() as comments:
        post_comment("first", "gate.yaml", job(comments))
        ((number, body),) = comments.bodies.items()
        assert body.splitlines()[1:] == ["first"]
        assert body.startswith("<!-- llmops gate ")
        post_comment("second", "gate.yaml", job(comments))
        assert {n: text.splitlines()[1] for n, text in comments.bodies.items()} == {
            number: "second"
        }
        assert comments.asked[-1].startswith(f"{change} ")
        post_comment("other", "other.yaml", job(comments))
        assert len(comments.bodies) == 2, "another policy has a comment of its own"


def test_it_is_found_on_a_later_page_and_a_quotation_is_not_it() -> None:
    with github() as comments:
        page = post_comment("first", "gate.yaml", on_github(comments))
        assert page == "https://github.example/acme/bot/pull/7#issuecomment-101"
        own = comments.bodies.pop(101)
        comments.bodies |= dict.fromkeys(range(200, 400), f"> {own}")
        comments.bodies[400] = own
        post_comment("second", "gate.yaml", on_github(comments))
        assert comments.bodies[400].endswith("\nsecond")
        assert len(comments.bodies) == 201
        assert comments.asked[-4:-1] == ["GET /repos/acme/bot/issues/7/comments"] * 3


def test_a_long_text_is_cut_below_the_limit() -> None:
    with github() as comments:
        post_comment("x" * 100_000, "gate.yaml", on_github(comments))
        assert len(comments.bodies[101]) == 65_000


def test_a_token_that_may_only_read_and_a_broken_server_are_errors_of_ours() -> None:
    with github() as comments:
        comments.read_only = True
        with pytest.raises(LlmopsError, match=r"HTTP 403 \(a token that may only read"):
            post_comment("x", "gate.yaml", on_github(comments))
        with pytest.raises(LlmopsError, match="HTTP 401"):
            post_comment("x", "gate.yaml", {**on_github(comments), "GITHUB_TOKEN": "other"})
        for status in (302, 500):
            comments.refuse = status
            with pytest.raises(LlmopsError, match=f"HTTP {status}"):
                post_comment("x", "gate.yaml", on_github(comments))
        job = on_github(comments)
    with pytest.raises(LlmopsError, match="ConnectError") as caught:
        post_comment("x", "gate.yaml", job)
    assert TOKEN not in str(caught.value)


def test_where_there_is_no_pull_request_or_no_token_nothing_is_asked() -> None:
    with github() as comments:
        job = on_github(comments)
        refused = {
            "this is no job": {},
            "this is jenkins": {"JENKINS_URL": "https://ci.example"},
            "not of a pull request": {**job, "GITHUB_REF": "refs/heads/main"},
            "GITHUB_TOKEN: not set": {**job, "GITHUB_TOKEN": ""},
            "over https only": {**job, "GITHUB_API_URL": "http://api.github.example"},
            "GITLAB_TOKEN: not set": {**on_gitlab(comments), "GITLAB_TOKEN": ""},
        }
        for why, environ in refused.items():
            with pytest.raises(UsageError, match=why):
                post_comment("x", "gate.yaml", environ)
        assert comments.asked == []
