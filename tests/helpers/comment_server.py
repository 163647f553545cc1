"""A server that keeps comments as the APIs of GitHub and GitLab do: pages, ids, tokens, refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from servers import answering
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "t0ken"


@dataclass
class Comments:
    """The comments of one pull request, and what was asked.

    Attributes:
        url: Root of the API.
        bodies: Id → text, in the order in which they were written.
        asked: Method and path of each request.
        refuse: Status with which everything is refused; 0 for none.
        read_only: Whether the token may only read.
    """

    url: str = ""
    bodies: dict[int, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuse: int = 0
    read_only: bool = False

    def listed(self, request: Request) -> Response:
        size = int(request.query_params.get("per_page", "30"))
        first = (int(request.query_params.get("page", "1")) - 1) * size
        every = [{"id": number, "body": body} for number, body in self.bodies.items()]
        return JSONResponse(every[first : first + size])

    async def written(self, request: Request, number: int) -> Response:
        body = (await request.json())["body"]
        if len(body) > 65_536:
            return JSONResponse({"message": "Validation Failed"}, 422)
        known = number in self.bodies
        self.bodies[number] = body
        page = f"https://github.example/acme/bot/pull/7#issuecomment-{number}"
        return JSONResponse({"id": number, "body": body, "html_url": page}, 200 if known else 201)


def _checked(comments: Comments, header: str, value: str) -> Callable[..., Any]:
    """A handler of all routes behind the token."""

    async def handle(request: Request) -> Response:
        comments.asked.append(f"{request.method} {request.url.path}")
        if comments.refuse:
            return Response("refused", comments.refuse)
        if request.headers.get(header) != value:
            return JSONResponse({"message": "Bad credentials"}, 401)
        if request.method == "GET":
            return comments.listed(request)
        if comments.read_only:
            return JSONResponse({"message": "Resource not accessible by integration"}, 403)
        if request.method == "POST":
            return await comments.written(request, max(comments.bodies, default=100) + 1)
        number = int(request.path_params["number"])
        if number not in comments.bodies:
            return JSONResponse({"message": "Not Found"}, 404)
        return await comments.written(request, number)

    return handle


@contextmanager
def github() -> Iterator[Comments]:
    """The comments of pull request 7 of acme/bot."""
    comments = Comments()
    handle = _checked(comments, "authorization", f"Bearer {TOKEN}")
    issues = "/repos/acme/bot/issues"
    routes = [
        Route(f"{issues}/7/comments", handle, methods=["GET", "POST"]),
        Route(issues + "/comments/{number:int}", handle, methods=["PATCH"]),
    ]
    with answering(Starlette(routes=routes)) as comments.url:
        yield comments


@contextmanager
def gitlab() -> Iterator[Comments]:
    """The notes of merge request 7 of project 42."""
    comments = Comments()
    handle = _checked(comments, "private-token", TOKEN)
    notes = "/projects/42/merge_requests/7/notes"
    routes = [
        Route(notes, handle, methods=["GET", "POST"]),
        Route(notes + "/{number:int}", handle, methods=["PUT"]),
    ]
    with answering(Starlette(routes=routes)) as comments.url:
        yield comments


def on_github(comments: Comments) -> dict[str, str]:
    """Variables of a job of pull request 7."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_REPOSITORY": "acme/bot",
        "GITHUB_API_URL": comments.url,
        "GITHUB_TOKEN": TOKEN,
    }


def on_gitlab(comments: Comments) -> dict[str, str]:
    """Variables of a job of merge request 7."""
    return {
        "GITLAB_CI": "true",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_PROJECT_ID": "43",
        "CI_MERGE_REQUEST_PROJECT_ID": "42",
        "CI_API_V4_URL": comments.url,
        "GITLAB_TOKEN": TOKEN,
    }
