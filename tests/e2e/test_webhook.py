"""A real MLflow server fires a real webhook, and the version is gated."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx
import mlflow
import pytest
from cryptography.fernet import Fernet
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from servers import free_port, machine, mlflow_server, running
from trained import another_adapter, log_trained, recipe_file
from versions import log_version

from llmops import flavor
from llmops.serve.webhook.delivery import sign

SECRET = "s" * 32
SECONDS = 240


def test_an_alias_that_moves_gates_its_version_once(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "LLMOPS_WEBHOOK_SECRET": SECRET,
    }
    for name, value in allowed.items():
        monkeypatch.setenv(name, value)
    recipe_file(tmp_path)
    port = free_port()
    own = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "llmops", "webhook", "serve", "bot.yaml"]
    with mlflow_server(tmp_path) as url, machine(tmp_path, url) as env:
        client = mlflow.MlflowClient()
        event = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
        client.create_webhook("gate", f"{own}/webhook", [event], secret=SECRET)
        base = flavor.add_base(tiny_model, "tiny")
        log_version(tiny_adapter, base, "bot", alias="champion")
        with running([*command, "--port", str(port)], tmp_path, f"{own}/livez", env) as log:
            candidate = log_trained(another_adapter(tiny_model, tmp_path))
            deadline = time.monotonic() + SECONDS
            while "llmops.gated" not in (
                tags := client.get_model_version("bot", candidate.version).tags
            ):
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
            assert tags["llmops.gated"] == "PASSED", log.read_text()
            assert "llmops.evidence" in tags
            while "llmops.delivery" not in (
                tags := client.get_model_version("bot", candidate.version).tags
            ):
                assert time.monotonic() < deadline
            body, sent = b'{"entity": "x", "action": "y", "data": {}}', str(int(time.time()))
            headers = {
                "X-MLflow-Delivery-Id": tags["llmops.delivery"],
                "X-MLflow-Timestamp": sent,
                "X-MLflow-Signature": sign(tags["llmops.delivery"], sent, body, "wrong" * 5),
            }
            assert httpx.post(f"{own}/webhook", content=body, headers=headers).status_code == 401
            assert log.read_text().count("webhook: gating") == 1
        assert client.get_registered_model("bot").aliases["champion"] == "1", "no alias moves"
