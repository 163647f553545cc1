"""Anything may arrive at a deployment: it answers, with no status of its own failure, and only to
those who asked. ``LLMOPS_FUZZ_SECONDS`` sets the duration of all tests together.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from load import MARKER, in_loop
from serving_stack import FAKE, LOCAL, VLLM, Stack, deployed, registry

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = ROOT / "build" / "clients" / "bin" / "schemathesis"
SECONDS = float(os.environ.get("LLMOPS_FUZZ_SECONDS", "60"))
HANGS = 20.0
"""Seconds after which an answer counts as missing."""
KEY = "sk-fuzz"
CHECKS = (
    *("not_a_server_error", "content_type_conformance", "response_schema_conformance"),
    *("status_code_conformance", "response_headers_conformance", "unsupported_method"),
    *("allow_header_conformance", "ignored_auth"),
)
NAMES = st.sampled_from(["desk", "bot", "bot@v1", "bot/1", "bot@v2", "", None, "models:/bot/1", 7])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["\ud800", "\x00", "é" * 2000, "data: [DONE]\n\n", "\r\n\r\n", "<|im_end|>"]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=12), inner, max_size=5)
    ),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    [
        *("model", "messages", "prompt", "max_tokens", "max_completion_tokens", "temperature"),
        *("top_p", "n", "seed", "stop", "stream", "stream_options", "logprobs", "top_logprobs"),
        *(
            "tools",
            "response_format",
            "logit_bias",
            "user",
            "metadata",
            "best_of",
            "echo",
            "suffix",
        ),
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A request that could be answered, some of whose fields were replaced by anything."""
    chat = draw(st.booleans())
    text = draw(st.text(max_size=60))
    body: dict[str, Any] = {"model": draw(NAMES), "max_tokens": draw(st.integers(1, 8))}
    body |= {"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text}
    if draw(st.booleans()):
        body["stream"] = True
    if draw(st.booleans()):
        body |= draw(st.dictionaries(FIELDS, JSON, max_size=3))
    return {"path": "/v1/chat/completions" if chat else "/v1/completions", "body": body}


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """The bytes of a request: some lines of it changed, or none of it a request."""
    lines = [
        draw(st.sampled_from([b"POST", b"GET", b"PUT", b"PRI", b"post", b""]))
        + b" "
        + draw(st.sampled_from([b"/v1/chat/completions", b"/v1/models", b"/livez", b"//", b"*"]))
        + draw(st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b" HTTP/9", b""])),
        b"Host: 127.0.0.1",
        b"Authorization: Bearer " + KEY.encode(),
        draw(
            st.sampled_from(
                [
                    *(b"Content-Length: 2", b"Content-Length: -1", b"Content-Length: 9" * 2),
                    *(b"Transfer-Encoding: chunked", b"Content-Length: 2\r\nContent-Length: 3"),
                    *(b"X: " + b"a" * 70_000, b"Expect: 100-continue", b"Upgrade: h2c", b""),
                ]
            )
        ),
    ]
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, 4)), draw(st.binary(max_size=60)))
    return (
        b"\r\n".join(lines) + b"\r\n\r\n" + draw(st.sampled_from([b"{}", b"2\r\n{}\r\n0\r\n\r\n"]))
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fuzz")
    with registry(folder, 1):
        yield folder


@pytest.fixture(scope="module", params=[LOCAL, FAKE])
def stack(request: pytest.FixtureRequest, folder: Path) -> Iterator[Stack]:
    """A deployment with a key; its traces are on, as they are by default. The fake one echoes markers."""
    with deployed(folder, request.param, "--delay", "0", key=KEY) as stack:
        yield stack
        assert stack.gateway().is_running()


def repeated(test: Callable[[], None], share: float) -> int:
    """Run a test of Hypothesis again and again for a share of the time; return how many times."""
    until, rounds = time.monotonic() + share * SECONDS, 0
    while not rounds or time.monotonic() < until:
        seed(secrets.randbits(64))(test)()
        rounds += 1
    return rounds


PROFILE = settings(
    max_examples=50,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(SECONDS + 600)
def test_every_route_answers_as_documented(stack: Stack, tmp_path: Path) -> None:
    if not SCHEMATHESIS.is_file():
        pytest.skip(f"no {SCHEMATHESIS}: `make clients` installs it")
    command = [str(SCHEMATHESIS), "run", str(ROOT / "docs" / "reference" / "openapi.yaml")]
    command += ["--url", stack.deployment.endpoint, "--max-time", str(max(5, int(SECONDS / 4)))]
    command += ["--checks", ",".join(CHECKS), "--header", f"Authorization: Bearer {KEY}"]
    # Several threads that parse Python at once end with "AST constructor recursion depth mismatch" in
    # CPython 3.11.7 (gh-106905), which schemathesis 4.32 reports as an error of the API.
    command += ["--workers", "1", "--request-timeout", str(HANGS), "--phases", "coverage,fuzzing"]
    command += ["--continue-on-failure", "--suppress-health-check", "all", "--no-color"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS + 300
    )
    print(done.stdout[-1500:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.timeout(SECONDS + 600)
def test_any_body_is_answered_and_only_to_who_asked(stack: Stack) -> None:
    shown: list[bool] = []

    @PROFILE
    @given(st.lists(bodies(), min_size=1, max_size=6))
    def check(several: list[dict[str, Any]]) -> None:
        shown.extend(in_loop(ask_together(stack.deployment.endpoint, several)))

    repeated(check, 0.125)
    print(f"\n{len(shown)} requests with any body: no failure of ours, no hang, no foreign text")
    if stack.deployment.engine == VLLM:  # the fake one
        assert any(shown), "no answer showed its own marker, so none could show another's"


async def ask_together(endpoint: str, several: list[dict[str, Any]]) -> list[bool]:
    """Ask at once, each request with a marker that no other answer may show.

    Returns whether each answer shows its own.
    """
    timeout = aiohttp.ClientTimeout(total=HANGS)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        return list(await asyncio.gather(*(ask(http, endpoint, **one) for one in several)))


async def ask(http: aiohttp.ClientSession, endpoint: str, path: str, body: dict[str, Any]) -> bool:
    marker = secrets.token_hex(8)
    marked = json.dumps({**body, "user": f"marker={marker}"}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with http.post(endpoint + path, data=marked, headers=headers) as response:
        raw = await response.read()
    assert response.status < 500, (response.status, raw[:300], body)
    assert set(MARKER.findall(raw.decode("utf-8", "replace"))) <= {marker}, body
    if response.status != 200:
        assert json.loads(raw)["error"]["message"], body
    elif response.content_type == "text/event-stream":
        events = re.findall(rb"data: (.*?)\n\n", raw, re.DOTALL)
        assert events[-1] == b"[DONE]", (events[-1], body)
        assert {json.loads(event)["model"] for event in events[:-1]} == {"bot@v1"}
    else:
        assert json.loads(raw)["model"] == "bot@v1"
    return marker.encode() in raw


@pytest.mark.timeout(SECONDS + 600)
def test_any_bytes_end_with_an_answer_or_a_closed_connection(stack: Stack) -> None:
    host, port = re.fullmatch(r"http://(.*):(\d+)", stack.deployment.endpoint).groups()
    sent = 0

    @PROFILE
    @given(requests())
    def check(raw: bytes) -> None:
        nonlocal sent
        sent += 1
        with socket.create_connection((host, int(port)), timeout=HANGS) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while block := connection.recv(65536):
                    answer += block
            except ConnectionResetError:
                pass
        for status in re.findall(rb"HTTP/1\.1 (\d+)", answer):
            assert int(status) < 500, answer[:500]

    repeated(check, 0.125)
    print(f"\n{sent} byte strings: each ended, none with a failure of ours")
