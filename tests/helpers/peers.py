"""Other gateways in front of the same engine: the LiteLLM proxy and MLflow's AI Gateway.

`make peers` installs each in an environment of its own; a test whose peer is missing is skipped.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from load import Target
from servers import environment, free_port, running

PEERS = Path(__file__).parents[2] / "build" / "peers"
NAME = "bot"
"""Name of the one model that a peer knows."""
OWN_KEY = "sk-peer"
"""Key of the LiteLLM proxy itself."""
LITELLM = """\
model_list:
  - model_name: {name}
    litellm_params: {{model: openai/{model}, api_key: {key}, api_base: {upstream}/v1}}
litellm_settings: {{num_retries: 0, request_timeout: 60}}
general_settings: {{master_key: {own}}}
"""
PRIVATE = {
    "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE": "a passphrase for this test alone",
}
"""Without them MLflow's gateway talks to public https servers only, or warns at every start."""
ENDPOINTS = (
    ("secrets", "secret", "secret_id"),
    ("model-definitions", "model_definition", "model_definition_id"),
    ("endpoints", "endpoint", "endpoint_id"),
)
Peer = Callable[[Path, str, str, str], AbstractContextManager[Target]]


@contextmanager
def litellm(folder: Path, upstream: str, model: str, key: str) -> Iterator[Target]:
    """Run the LiteLLM proxy, one process, without a database: its fastest form.

    Args:
        folder: For its configuration and log.
        upstream: Address of the engine, without ``/v1``.
        model: Name of the model at the engine.
        key: Key of the engine.
    """
    command = _installed("litellm")
    config = folder / "litellm.yaml"
    config.write_text(
        LITELLM.format(name=NAME, model=model, key=key, own=OWN_KEY, upstream=upstream)
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR")
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with running([str(command), *arguments], folder, f"{url}/health/liveliness", env):
        headers = {"Authorization": f"Bearer {OWN_KEY}"}
        yield Target(f"{url}/v1/chat/completions", {"model": NAME}, headers)


@contextmanager
def mlflow_gateway(folder: Path, upstream: str, model: str, key: str) -> Iterator[Target]:
    """Run MLflow's AI Gateway, part of its tracking server, on SQLite; it records every request.

    Args:
        folder: For its database and log.
        upstream: Address of the engine, without ``/v1``.
        model: Name of the model at the engine.
        key: Key of the engine.
    """
    command = _installed("mlflow")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    arguments += ["--backend-store-uri", f"sqlite:///{folder / 'gateway.db'}"]
    with running([str(command), *arguments], folder, f"{url}/health", environment(**PRIVATE)):
        _make_endpoint(url, f"{upstream}/v1", model, key)
        yield Target(f"{url}/gateway/mlflow/v1/chat/completions", {"model": NAME})


def _make_endpoint(url: str, upstream: str, model: str, key: str) -> None:
    """Make a secret, a model with it, and an endpoint with that, as MLflow's own pages do."""
    auth = {"provider": "openai", "auth_config": {"api_base": upstream}}
    secret = _create(url, 0, {"secret_name": "peer", "secret_value": {"api_key": key}, **auth})
    defined = {"name": model, "secret_id": secret, "provider": "openai", "model_name": model}
    linked = {
        "model_definition_id": _create(url, 1, defined),
        "linkage_type": "PRIMARY",
        "weight": 1.0,
    }
    _create(url, 2, {"name": NAME, "model_configs": [linked], "usage_tracking": True})


def _create(url: str, which: int, body: dict[str, object]) -> str:
    kind, record, identifier = ENDPOINTS[which]
    request = urllib.request.Request(
        f"{url}/api/3.0/mlflow/gateway/{kind}/create",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)[record][identifier])


def _installed(name: str) -> Path:
    """Return the command of a peer, or skip the test."""
    command = PEERS / name / "bin" / name
    if not command.is_file():
        pytest.skip(f"no {command}: `make peers` installs it")
    return command
