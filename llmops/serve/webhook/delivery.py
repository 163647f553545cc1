"""One delivery of an MLflow webhook: its signature, and the version that it is about.

MLflow signs as Standard Webhooks do: HMAC-SHA256 over id, time and body. An old delivery is refused, so
that nobody can send a recorded one again next week.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOLERANCE_SECONDS = 300
"""How far the time of a delivery may be from ours."""
LONGEST_ID = 128
SIGNATURE, TIME, ID = "x-mlflow-signature", "x-mlflow-timestamp", "x-mlflow-delivery-id"


class RefusedError(Exception):
    """A delivery that is not from the server that knows the secret, or not readable."""


@dataclass(frozen=True)
class Delivery:
    """A verified delivery.

    Attributes:
        id: Its id; a repeated delivery has the same.
        entity: What changed, such as ``model_version_alias``.
        action: How, such as ``created``.
        data: Name, version, alias, as far as the event has them.
    """

    id: str
    entity: str
    action: str
    data: Mapping[str, str]


def verified(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Delivery:
    """Return a delivery, if its signature is right and its time is near.

    Args:
        headers: Headers of the request, names in small letters.
        body: The body as it was received.
        secret: Secret of the webhook.
        now: Unix time in seconds.

    Raises:
        RefusedError: It is not.
    """
    name, sent, signature = (headers.get(key, "") for key in (ID, TIME, SIGNATURE))
    if not (name and name.isascii() and len(name) <= LONGEST_ID and sent.isascii()):
        raise RefusedError("a header is missing")
    if not sent.isdecimal() or len(sent) > 12 or abs(now - int(sent)) > TOLERANCE_SECONDS:
        raise RefusedError("the time is not near ours")
    expected = sign(name, sent, body, secret).encode()
    given = [each.encode("utf-8", "replace") for each in signature.split(" ")]
    if not any(hmac.compare_digest(expected, each) for each in given):
        raise RefusedError("the signature is wrong")
    try:
        content = json.loads(body)
        data = {key: str(value) for key, value in content["data"].items()}
        return Delivery(name, str(content["entity"]), str(content["action"]), data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RefusedError("the body is not that of a registry event") from None


def sign(name: str, sent: str, body: bytes, secret: str) -> str:
    """Return the signature that MLflow puts on a delivery.

    Args:
        name: Id of the delivery.
        sent: Unix time in seconds, as text.
        body: The body.
        secret: Secret of the webhook.
    """
    content = f"{name}.{sent}.".encode() + body
    made = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def version_of(delivery: Delivery, model: str, alias: str) -> str | None:
    """Return the number of the version that a delivery asks to gate; ``None`` if it asks nothing.

    Args:
        delivery: A verified delivery.
        model: The registered model that is gated.
        alias: The alias of its candidates; a new version is a candidate too.
    """
    data: Mapping[str, Any] = delivery.data
    about = (delivery.entity, delivery.action)
    wanted = about == ("model_version", "created") or (
        about == ("model_version_alias", "created") and data.get("alias") == alias
    )
    number = data.get("version", "")
    return number if wanted and data.get("name") == model and number.isdecimal() else None
