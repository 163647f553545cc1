"""Client of a gateway's control server, which only this account can ask: it demands a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmops.errors import ServeError
from llmops.serve.deployment import state

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Swap:
    """The outcome of an update.

    Attributes:
        version: Name of the version that the deployment serves now, such as ``bot@v8``.
        changed: Whether it served another one before.
    """

    version: str
    changed: bool


def update(record: state.Record, uri: str, *, follow: bool) -> Swap:
    """Ask a gateway to serve another URI, and wait until it does or refuses.

    Args:
        record: The deployment.
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        follow: Whether to follow the alias from now on.

    Raises:
        ServeError: The gateway refuses: the version cannot be served, or another swap is going on;
            or it does not answer. What it served before goes on.
    """
    response = _post(record, "/update", {"uri": uri, "follow": follow})
    answer = _content(response)
    if not response.is_success:
        raise _refusal(record, response.status_code, answer.get("error"))
    try:
        return Swap(version=str(answer["version"]), changed=bool(answer["changed"]))
    except KeyError:
        raise _silent(record, f"unexpected answer with status {response.status_code}") from None


def _post(record: state.Record, path: str, body: Mapping[str, Any]) -> httpx.Response:
    import httpx

    status = record.status
    if not (status.control and status.token):
        raise _silent(record, "it is still starting")
    try:
        return httpx.post(
            f"{status.control}{path}",
            json=dict(body),
            headers={"Authorization": f"Bearer {status.token}"},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),  # a swap may fetch gigabytes
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise _silent(record, str(error) or type(error).__name__) from error


def _content(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer, an empty one for an answer of another form."""
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _refusal(record: state.Record, status: int, error: object) -> ServeError:
    name, goes_on = record.config.name, record.status.model
    given = error if isinstance(error, Mapping) else {}
    reason = given.get("message") or f"the gateway refused with status {status}"
    return ServeError(
        f"deployment {name}: {reason}" + (f"\n{goes_on} goes on" if goes_on else ""),
        next_command=given.get("next") or f"mlflow deployments get -t llmops --name {name}",
    )


def _silent(record: state.Record, reason: str) -> ServeError:
    name = record.config.name
    return ServeError(
        f"deployment {name}: its gateway does not answer ({reason})",
        next_command=f"mlflow deployments get -t llmops --name {name}",
    )
