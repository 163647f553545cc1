"""Client of a gateway's control server, which only this account can ask: it demands a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmops.errors import ServeError
from llmops.serve.deployment import state

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
    answer = _post(record, "/update", {"uri": uri, "follow": follow})
    return Swap(version=str(answer["version"]), changed=bool(answer["changed"]))


def _post(record: state.Record, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    import httpx

    name, status = record.config.name, record.status
    if not (status.control and status.token):
        raise _silent(record, "it is still starting")
    try:
        response = httpx.post(
            f"{status.control}{path}",
            json=dict(body),
            headers={"Authorization": f"Bearer {status.token}"},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),  # a swap may fetch gigabytes
            trust_env=False,
        )
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise _silent(record, str(error) or type(error).__name__) from error
    if not isinstance(answer, dict):
        raise _silent(record, f"unexpected answer with status {response.status_code}")
    if response.is_success:
        return answer
    reason = answer.get("error") or f"refused with status {response.status_code}"
    goes_on = f"\n{status.model} goes on" if status.model else ""
    raise ServeError(
        f"deployment {name}: {reason}{goes_on}",
        next_command=answer.get("next_command")
        or f"mlflow deployments get -t llmops --name {name}",
    )


def _silent(record: state.Record, reason: str) -> ServeError:
    name = record.config.name
    return ServeError(
        f"deployment {name}: its gateway does not answer ({reason})",
        next_command=f"mlflow deployments get -t llmops --name {name}",
    )
