"""Clients that people use, each against a real deployment: they get answers, and see the version.

Those with pins of their own run in the environment that `make clients` builds.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI, OpenAI
from serving_stack import LOCAL, NAME, Stack, deployed, registry

CLIENTS = Path(__file__).parents[2] / "build" / "clients" / "bin" / "python"
KEY = "sk-clients"
SERVED = "bot@v1"
MESSAGES: Any = [
    {"role": "system", "content": "assistant"},
    {"role": "user", "content": "Split a pathname."},
]
LANGCHAIN = """
import json, sys
from langchain_openai import ChatOpenAI
url, key, model = sys.argv[1:]
chat = ChatOpenAI(base_url=url, api_key=key, model=model, max_tokens=8, temperature=0,
    stream_usage=True)
whole = chat.invoke([("system", "assistant"), ("user", "Split a pathname.")])
pieces = list(chat.stream([("system", "assistant"), ("user", "Split a pathname.")]))
last = pieces[0]
for piece in pieces[1:]:
    last += piece
print(json.dumps({
    "whole": whole.content, "model": whole.response_metadata["model_name"],
    "tokens": whole.usage_metadata["output_tokens"], "streamed": last.content, "pieces": len(pieces),
    "streamed_tokens": last.usage_metadata["output_tokens"],
}))
"""
LITELLM = """
import asyncio, json, sys
import litellm
litellm.telemetry = False
url, key, model = sys.argv[1:]
asked = dict(
    model=f"openai/{model}", api_base=url, api_key=key, max_tokens=8, temperature=0,
    messages=[
        {"role": "system", "content": "assistant"},
        {"role": "user", "content": "Split a pathname."},
    ],
)
whole = litellm.completion(**asked)
later = asyncio.run(litellm.acompletion(**asked))
pieces = list(litellm.completion(**asked, stream=True, stream_options={"include_usage": True}))
usage = [piece.usage for piece in pieces if getattr(piece, "usage", None)]
print(json.dumps({
    "whole": whole.choices[0].message.content, "later": later.choices[0].message.content,
    "model": whole.model, "tokens": whole.usage.completion_tokens,
    "streamed": "".join(p.choices[0].delta.content or "" for p in pieces if p.choices),
    "pieces": len(pieces), "streamed_tokens": usage[-1].completion_tokens,
}))
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("clients")
    with registry(folder, 1), deployed(folder, LOCAL, key=KEY) as stack:
        yield stack


@pytest.fixture(scope="module")
def url(stack: Stack) -> str:
    return f"{stack.deployment.endpoint}/v1"


@pytest.fixture(scope="module")
def expected(url: str) -> str:
    """The answer to ``MESSAGES`` in eight tokens."""
    with OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        answer = client.chat.completions.create(
            model=NAME, messages=MESSAGES, max_tokens=8, temperature=0
        )
    assert answer.model == SERVED
    assert answer.choices[0].message.content
    return answer.choices[0].message.content


def test_openai_python(url: str, expected: str) -> None:
    with OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        assert NAME in [model.id for model in client.models.list()]
        assert client.models.retrieve(NAME).id == NAME
        raw = client.chat.completions.with_raw_response.create(
            model=NAME, messages=MESSAGES, max_tokens=8, temperature=0
        )
        assert raw.headers["x-llmops-model-version"] == SERVED
        assert raw.parse().choices[0].message.content == expected
        text = client.completions.create(model=NAME, prompt="Split", max_tokens=4)
        assert text.usage is not None
        assert 1 <= text.usage.completion_tokens <= 4


def test_openai_python_streamed(url: str, expected: str) -> None:
    with OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model=NAME,
                messages=MESSAGES,
                max_tokens=8,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    assert {chunk.model for chunk in chunks} == {SERVED}
    text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
    assert text == expected
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 8


def test_openai_python_async(url: str, expected: str) -> None:
    async def ask() -> list[str | None]:
        async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model=NAME, messages=MESSAGES, max_tokens=8, temperature=0
                    )
                    for _ in range(8)
                )
            )
            streamed = ""
            async for chunk in await client.chat.completions.create(
                model=NAME, messages=MESSAGES, max_tokens=8, temperature=0, stream=True
            ):
                streamed += "".join(choice.delta.content or "" for choice in chunk.choices)
        return [*(answer.choices[0].message.content for answer in answers), streamed]

    assert asyncio.run(ask()) == [expected] * 9


@pytest.mark.parametrize("script", [LANGCHAIN, LITELLM], ids=["langchain", "litellm"])
def test_clients_with_pins_of_their_own(script: str, url: str, expected: str) -> None:
    if not CLIENTS.is_file():
        pytest.skip(f"no {CLIENTS}: `make clients` installs it")
    env = {"PATH": "/usr/bin:/bin", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    done = subprocess.run(
        [CLIENTS, "-c", script, url, KEY, NAME],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["whole"] == found.get("later", found["whole"]) == found["streamed"] == expected
    assert found["model"].removeprefix("openai/") == SERVED
    assert found["tokens"] == found["streamed_tokens"] == 8
    assert found["pieces"] > 1


def test_curl(url: str, expected: str) -> None:
    asked = {"messages": MESSAGES, "max_tokens": 8, "temperature": 0}
    head, body = curl(url, asked)
    assert "HTTP/1.1 200" in head
    assert f"x-llmops-model-version: {SERVED}" in head.lower()
    assert json.loads(body)["choices"][0]["message"]["content"] == expected
    head, body = curl(url, asked | {"stream": True})
    assert "content-type: text/event-stream" in head.lower()
    *events, last, end = body.split("\n\n")
    assert (last, end) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert {chunk["model"] for chunk in chunks} == {SERVED}
    pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(pieces) == expected


def curl(url: str, asked: dict[str, Any]) -> tuple[str, str]:
    """Headers and body of what curl prints."""
    command = ["curl", "-sS", "-N", "-i", f"{url}/chat/completions"]
    command += ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
    done = subprocess.run(
        [*command, "-d", json.dumps(asked)], capture_output=True, text=True, check=True
    )
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    return head, body


def test_open_webui(url: str, expected: str) -> None:
    """The calls of Open WebUI 0.12.4: its list of models, a chat, and the title of the chat."""
    headers = {
        "Content-Type": "application/json",
        "X-OpenWebUI-User-Name": "Ada%20L",
        "X-OpenWebUI-User-Id": "6b0e0f",
        "X-OpenWebUI-User-Email": "ada@example.org",
        "X-OpenWebUI-User-Role": "admin",
        "X-OpenWebUI-Chat-Id": "9f2c",
        "Authorization": f"Bearer {KEY}",
    }
    title = "### Task:\nGenerate a concise, 3-5 word title summarizing the chat history."

    async def ask() -> None:
        async with aiohttp.ClientSession(trust_env=True) as http:
            async with http.get(f"{url}/models", headers=headers) as answer:
                listed = await answer.json()
            model = listed["data"][0]["id"]
            assert {"id", "object", "created", "owned_by"} <= listed["data"][0].keys()
            chat = {
                "stream": True,
                "model": model,
                "messages": MESSAGES,
                "temperature": 0.0,
                "max_tokens": 8,
                "stream_options": {"include_usage": True},
            }
            asked = json.dumps(chat)  # as text: its own encoder wrote it
            async with http.post(f"{url}/chat/completions", data=asked, headers=headers) as answer:
                assert "text/event-stream" in answer.headers["Content-Type"]
                lines = [line async for line in answer.content]
            assert lines[-2] == b"data: [DONE]\n"
            events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
            pieces = [c["delta"].get("content") or "" for e in events for c in e["choices"]]
            assert "".join(pieces) == expected
            assert events[-1]["usage"]["completion_tokens"] == 8
            asked = json.dumps(
                {
                    "model": model,
                    "messages": [{"role": "user", "content": title}],
                    "stream": False,
                    "max_tokens": 16,
                }
            )
            async with http.post(f"{url}/chat/completions", data=asked, headers=headers) as answer:
                assert answer.status == 200
                assert (await answer.json())["choices"][0]["message"]["content"] is not None

    asyncio.run(ask())
