"""A delivery is taken only with its signature and near its time."""

from __future__ import annotations

import json

import pytest

from llmops.serve.webhook.delivery import Delivery, RefusedError, sign, verified, version_of

SECRET, NOW = "s" * 24, 1_800_000_000
BODY = json.dumps(
    {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2026-11-28T12:00:00+00:00",
        "data": {"name": "bot", "alias": "challenger", "version": "7"},
    }
).encode()


def headers(body: bytes = BODY, name: str = "d-1", sent: str = str(NOW)) -> dict[str, str]:
    return {
        "x-mlflow-delivery-id": name,
        "x-mlflow-timestamp": sent,
        "x-mlflow-signature": sign(name, sent, body, SECRET),
    }


def test_the_signature_is_that_of_mlflow() -> None:
    from mlflow.webhooks import delivery

    made = delivery._generate_hmac_signature(SECRET, "d-1", str(NOW), BODY.decode())
    assert sign("d-1", str(NOW), BODY, SECRET) == made


def test_a_right_delivery_is_read() -> None:
    found = verified(headers(), BODY, SECRET, NOW + 299)
    data = {"name": "bot", "alias": "challenger", "version": "7"}
    assert found == Delivery("d-1", "model_version_alias", "created", data)
    rotated = headers() | {"x-mlflow-signature": f"v1,b2xk {headers()['x-mlflow-signature']}"}
    assert verified(rotated, BODY, SECRET, NOW).id == "d-1", "one of several signatures suffices"


REFUSED = {
    "another body": (headers(), BODY.replace(b"7", b"8"), NOW),
    "another id": (headers() | {"x-mlflow-delivery-id": "d-2"}, BODY, NOW),
    "another time": (headers() | {"x-mlflow-timestamp": str(NOW + 1)}, BODY, NOW),
    "late": (headers(), BODY, NOW + 301),
    "early": (headers(), BODY, NOW - 301),
    "no signature": (headers() | {"x-mlflow-signature": ""}, BODY, NOW),
    "no headers": ({}, BODY, NOW),
    "no number": (headers(sent="now"), BODY, NOW),
    "a huge number": (headers(sent="9" * 4_400), BODY, NOW),
    "other digits": (headers() | {"x-mlflow-timestamp": "\u0661\u0662"}, BODY, NOW),
    "a long id": (headers(name="x" * 200), BODY, NOW),
    "no JSON": (headers(b"{"), b"{", NOW),
    "deep JSON": (headers(b"[" * 50_000), b"[" * 50_000, NOW),
    "another shape": (headers(b'{"data": [1]}'), b'{"data": [1]}', NOW),
}


@pytest.mark.parametrize(("given", "body", "now"), REFUSED.values(), ids=REFUSED.keys())
def test_whatever_else_is_refused(given: dict[str, str], body: bytes, now: int) -> None:
    with pytest.raises(RefusedError):
        verified(given, body, SECRET, now)


@pytest.mark.parametrize(
    ("entity", "action", "data", "expected"),
    [
        (
            "model_version_alias",
            "created",
            {"name": "bot", "alias": "challenger", "version": "7"},
            "7",
        ),
        ("model_version", "created", {"name": "bot", "version": "7"}, "7"),
        (
            "model_version_alias",
            "created",
            {"name": "bot", "alias": "champion", "version": "7"},
            None,
        ),
        ("model_version_alias", "deleted", {"name": "bot", "alias": "challenger"}, None),
        ("model_version", "created", {"name": "other", "version": "7"}, None),
        ("model_version", "created", {"name": "bot", "version": "7; rm"}, None),
        ("model_version_tag", "set", {"name": "bot", "version": "7", "key": "k"}, None),
        ("registered_model", "created", {"name": "bot"}, None),
    ],
)
def test_which_version_an_event_asks_to_gate(entity, action, data, expected) -> None:
    assert version_of(Delivery("d", entity, action, data), "bot", "challenger") == expected
