"""`llmops serve` as a user meets it."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest
from command_line import Command
from servers import environment, free_port

from llmops.records import ModelVersion


def test_a_version_is_served_until_ctrl_c(version: ModelVersion) -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "llmops", "serve", "models:/bot@champion", "--port", str(port)]
    command += ["--cors", "https://a.org", "--cors", "https://b.org"]
    server = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr or ():
            if "Press Ctrl-C to stop" in line:
                break
        question = {
            "model": "bot",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 2,
        }
        reply = httpx.post(f"{address}/v1/chat/completions", json=question, timeout=60)
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"][0]["message"]["role"] == "assistant"
        page = {"Origin": "https://b.org", "Access-Control-Request-Method": "POST"}
        preflight = httpx.options(f"{address}/v1/chat/completions", headers=page)
        assert preflight.headers["access-control-allow-origin"] == "https://b.org"
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=60)
        assert server.returncode == 0, said
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bot"], "'bot'"),
        (["models:/none@champion"], "none"),
        (["models:/bot/1", "--host", "0.0.0.0"], "no key is set"),
        (["models:/bot/1", "--port", "70000"], "70000"),
        (["models:/bot/1", "--cors", "https://a.org/chat"], "did you mean https://a.org?"),
    ],
)
def test_what_cannot_be_served_is_a_usage_error(
    llmops: Command, version: ModelVersion, arguments: list[str], complaint: str
) -> None:
    done = llmops("serve", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
