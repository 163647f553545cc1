"""`llmops serve` as a user meets it."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest
import standin
from command_line import Command
from servers import environment, free_port

from llmops.records import ModelVersion
from llmops.serve.deployment import state


def test_a_version_is_served_until_ctrl_c(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.use_it(monkeypatch)
    code = (
        "from llmops.cli import main; from llmops.serve.deployment import launch;"
        "launch.GATEWAY = 'standin_gateway'; main.main()"
    )
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-c", code, "serve", "models:/bot@champion", "--port", str(port)]
    command += ["--cors", "https://a.org", "--cors", "https://b.org", "--unproven", "allow"]
    command += ["--no-traces", "--no-follow", "--engine", "local"]
    server = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        assert any("Press Ctrl-C to stop" in line for line in server.stderr or ())
        config = state.get_record("bot").config
        assert (config.uri, config.follow, config.traces) == ("models:/bot/1", False, False)
        assert (config.engine, config.unproven, config.port) == ("local", "allow", port)
        assert config.cors == ("https://a.org", "https://b.org")
        question = {"model": "bot", "messages": [{"role": "user", "content": "Hi"}]}
        reply = httpx.post(f"{address}/v1/chat/completions", json=question, timeout=60)
        assert reply.json()["model"] == "bot@v1"
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
        (["models:/bot/1", "--port", "0"], "no evidence"),
        (["models:/bot/1", "--follow"], "only an alias can be followed"),
        (["models:/bot/1", "--engine", "vlm"], "did you mean vllm?"),
        (["models:/bot/1", "--tls-cert", "c.pem"], "tls_cert: given without tls_key"),
        (["models:/bot/1", "models:/bot/2"], "unexpected argument: models:/bot/2"),
        (["restart"], "llmops serve restart NAME"),
        (["restart", "bot"], "deployment bot: does not exist"),
        (["restart", "bot", "--port", "1"], "omit --port"),
    ],
)
def test_what_cannot_be_served_is_a_usage_error(
    llmops: Command, version: ModelVersion, arguments: list[str], complaint: str
) -> None:
    done = llmops("serve", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
