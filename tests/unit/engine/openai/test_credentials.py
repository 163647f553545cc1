"""The user's key reaches only servers that the user named."""

from __future__ import annotations

from contextlib import closing

import pytest
from chat_servers import CHOICE, replying_with_headers

from llmops.engine.openai.client import ChatClient
from llmops.engine.openai.credentials import NO_KEY, credential_for
from llmops.engine.openai.endpoint import Endpoint
from llmops.engine.openai.engine import HttpEngine
from llmops.errors import UsageError
from llmops.records import Sampling


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.delenv("LLMOPS_KEY_HOSTS", raising=False)
    return "secret"


@pytest.mark.parametrize(
    ("url", "hosts", "sent"),
    [
        ("https://api.openai.com/v1", None, True),
        ("https://API.OpenAI.com:443/v1", None, True),
        ("https://api.openai.com.evil.example/v1", None, False),
        ("https://evil.example/api.openai.com", None, False),
        ("https://api.openai.com.:443/v1", None, False),
        ("http://api.openai.com/v1", None, False),
        ("https://api.openai.com/v1", "", False),
        ("https://api.openai.com/v1", "mine.example", False),
        ("https://mine.example/v1", " Mine.example , api.openai.com", True),
        ("https://sub.mine.example/v1", "mine.example", False),
        ("http://mine.example/v1", "mine.example", False),
        ("https://[2001:db8::1]/v1", "[2001:db8::1]", True),
        ("http://127.0.0.1:8000/v1", None, True),
        ("http://localhost:8000/v1", "", True),
        ("http://[::1]:8000/v1", "mine.example", True),
        ("http://10.0.0.1/v1", "10.0.0.1", False),
    ],
)
def test_which_servers_get_the_key(
    url: str, hosts: str | None, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hosts is not None:
        monkeypatch.setenv("LLMOPS_KEY_HOSTS", hosts)
    credential = credential_for(Endpoint(url, "m"))
    assert credential.key == ("secret" if sent else NO_KEY)
    assert bool(credential.withheld) is not sent


def test_the_notice_names_host_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    HttpEngine(Endpoint("https://mine.example/v1", "m")).close()
    said = capsys.readouterr().err
    assert "OPENAI_API_KEY is not sent to mine.example: LLMOPS_KEY_HOSTS does not name" in said
    assert "export LLMOPS_KEY_HOSTS=api.openai.com,mine.example" in said
    HttpEngine(Endpoint("http://mine.example/v1", "m")).close()
    assert (
        "http:// would show it to the network\n  If the server needs it: use an https:// URL"
        in (capsys.readouterr().err)
    )


def test_a_key_for_this_server_needs_no_list_but_encryption() -> None:
    assert credential_for(Endpoint("https://mine.example/v1", "m"), "own").key == "own"
    assert credential_for(Endpoint("http://mine.example/v1", "m"), "own").key == NO_KEY


@pytest.mark.parametrize("value", ["", None])
def test_without_a_key_there_is_nothing_to_withhold(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    assert credential_for(Endpoint("https://mine.example/v1", "m")) == (
        NO_KEY,
        "",
        "set OPENAI_API_KEY",
    )


@pytest.mark.parametrize("value", ["abc\n", "schlüssel"])
def test_a_key_that_no_header_may_hold_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(UsageError, match="contains a line break") as refused:
        credential_for(Endpoint("https://mine.example/v1", "m"))
    assert value not in str(refused.value)


@pytest.mark.parametrize("sent", [True, False])
def test_without_the_key_nothing_else_names_the_user(
    sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client adds these headers by itself, whatever the server
    monkeypatch.setenv("OPENAI_ORG_ID", "my-organization")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "my-project")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer mine\nX-Team: my-team")
    headers: list[dict[str, str]] = []
    with replying_with_headers({"choices": [CHOICE]}, headers) as url:
        client = ChatClient(
            Endpoint(url, "bot"), key="secret" if sent else NO_KEY, timeout=20, retries=0
        )
        with closing(client):
            answer = client.answer([{"role": "user", "content": "Hello"}], Sampling(max_tokens=8))
    assert answer.text == "fine"
    (found,) = headers
    shown = [name for name, value in found.items() if "my-" in value or "mine" in value]
    if sent:
        assert "openai-organization" in shown
    else:
        assert shown == []
        assert found["authorization"] == "Bearer none"
