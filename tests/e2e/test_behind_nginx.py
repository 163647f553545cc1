"""The nginx configuration of the docs, in front of a gateway: streams, limits, keys."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from certificates import make
from gateway_runs import CHAT, Gateway, serving, until
from servers import free_port

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-behind-nginx.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NAME = "llm.example.org"
AROUND = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{ours}
}}
"""
pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt install nginx)"),
    pytest.mark.e2e,
]


class Proxy:
    """A running nginx and the gateway behind it."""

    def __init__(self, gateway: Gateway, port: int, authority: Path) -> None:
        self.gateway, self.port = gateway, port
        self.trust = ssl.create_default_context(cafile=str(authority))
        self.trust.check_hostname = False

    def client(self, key: str = "one") -> httpx.Client:
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": NAME, "Authorization": f"Bearer {key}"},
            verify=self.trust,
            trust_env=False,
            timeout=30,
        )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    cert, key = make(folder, "llm")
    (ours,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    port = free_port()
    with serving(folder, keys=["one"]) as gateway:
        changes = {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8100": f"127.0.0.1:{gateway.port}",
            f"/etc/letsencrypt/live/{NAME}/fullchain.pem": cert,
            f"/etc/letsencrypt/live/{NAME}/privkey.pem": key,
        }
        for documented, here in changes.items():
            assert documented in ours
            ours = ours.replace(documented, here)
        user = "" if os.getuid() else "user root;"
        file = folder / "nginx.conf"
        file.write_text(AROUND.format(folder=folder, ours=ours, user=user))
        command = [str(NGINX), "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "warn" not in checked.stderr
        nginx = subprocess.Popen(command)
        try:
            made = Proxy(gateway, port, Path(cert))
            until(lambda: reached(port), 20)
            yield made
        finally:
            nginx.terminate()
            nginx.wait(20)


def reached(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def body(text: str, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 8, **fields}


def test_a_stream_arrives_piece_by_piece_with_its_headers(proxy: Proxy) -> None:
    arrived = []
    with (
        proxy.client() as client,
        client.stream("POST", CHAT, json=body("rate=8", stream=True)) as answer,
    ):
        assert answer.headers["x-llmops-model-version"] == "bot@v7"
        assert answer.headers["content-type"].startswith("text/event-stream")
        arrived = [(time.monotonic(), line) for line in answer.iter_lines() if line]
    assert arrived[-1][1] == "data: [DONE]"
    assert arrived[-1][0] - arrived[0][0] > 0.5, "not all at the end"
    assert len({round(moment, 1) for moment, _ in arrived}) >= 5


def test_answers_keys_limits_and_paths(proxy: Proxy) -> None:
    with proxy.client() as client, proxy.client("other") as stranger:
        assert client.post(CHAT, json=body("hi")).json()["model"] == "bot@v7"
        assert stranger.post(CHAT, json=body("hi")).status_code == 401
        assert client.post(CHAT, json=body("x" * (2 << 20))).status_code == 413
        assert client.get("/v1/models").status_code == 200
        for path in ("/metrics", "/livez", "/readyz", "/v1/load_lora_adapter"):
            assert client.get(path).status_code == 404, path
        almost = client.post(CHAT, json=body("x" * 1_000_000))
        assert almost.status_code == 200, "as large as the deployment allows"


def test_what_two_servers_would_read_differently_reaches_nobody(proxy: Proxy) -> None:
    sent = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: Bearer one\r\n"
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", proxy.port)) as plain,
        proxy.trust.wrap_socket(plain) as client,
    ):
        client.sendall(sent.encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_client_that_leaves_ends_its_generation(proxy: Proxy) -> None:
    asked = body("rate=5", max_tokens=400, stream=True)
    with proxy.client() as client, client.stream("POST", CHAT, json=asked) as answer:
        next(answer.iter_lines())
    flight = b'llmops_in_flight{version="bot@v7"} 0.0'
    key = {"Authorization": "Bearer one"}
    url = f"{proxy.gateway.url}/metrics"
    until(lambda: flight in httpx.get(url, headers=key, trust_env=False).content, 5)


def test_connections_to_the_deployment_are_used_again(proxy: Proxy) -> None:
    with proxy.client() as client:
        for _ in range(20):
            assert json.loads(client.post(CHAT, json=body("hi")).text)["model"] == "bot@v7"
    process = psutil.Process(proxy.gateway.process.pid)
    incoming = [
        one
        for one in process.net_connections()
        if one.status == "ESTABLISHED" and one.laddr.port == proxy.gateway.port
    ]
    assert 1 <= len(incoming) <= 8
