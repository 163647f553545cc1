"""How people name a model behind a URL."""

from __future__ import annotations

import pytest

from llmops.engine.openai.endpoint import Endpoint, parse_endpoint, remote_model
from llmops.errors import UsageError


def test_references() -> None:
    found = parse_endpoint("openai:http://127.0.0.1:8000/v1/#owner/name:1")
    assert found == Endpoint("http://127.0.0.1:8000/v1", "owner/name:1")
    for text in ("openai:bot", "openai:http://x/v1", "http://x/v1#bot", "openai:file:///x#y"):
        with pytest.raises(UsageError, match="expected openai:URL#MODEL"):
            parse_endpoint(text)
    assert parse_endpoint("openai:https://[::1]:80/v1#m").url == "https://[::1]:80/v1"
    for text in ("[::1", "127.0.0.1:abc", "127.0.0.1:99999", "a\x01b"):
        with pytest.raises(UsageError, match="invalid URL"):
            parse_endpoint(f"openai:http://{text}/v1#m")
    for text in (":80", "x:0"):
        with pytest.raises(UsageError, match="no host, or port 0"):
            parse_endpoint(f"openai:http://{text}/v1#m")
    with pytest.raises(UsageError, match="the URL has a query"):
        parse_endpoint("openai:https://h/v1?version=1#m")


def test_credentials_in_a_url_are_refused_and_not_shown() -> None:
    for url in ("http://me:secret@h/v1", "https://secret@h/v1", "http://me:se#secret@h/v1"):
        for read in (parse_endpoint, remote_model):
            with pytest.raises(UsageError, match="must not contain credentials") as refused:
                read(f"openai:{url}#m")
            assert "secret" not in str(refused.value)
            assert "export OPENAI_API_KEY" in str(refused.value)


def test_a_side_behind_a_url_is_known_by_its_uri() -> None:
    one, other = (remote_model(f"openai:http://x/v1#{name}") for name in ("bot", "owner/other"))
    assert (one.label, other.label) == ("bot", "owner/other")
    assert one.digest != other.digest
    assert parse_endpoint(one.uri).uri == one.uri


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_which_urls_are_this_machine(host: str, here: bool) -> None:
    assert Endpoint(f"http://{host}:80/v1", "m").is_loopback is here


def test_host_and_encryption() -> None:
    one, other = Endpoint("https://Api.Example:8443/v1", "m"), Endpoint("http://[::1]:80/v1", "m")
    assert (one.host, one.is_encrypted) == ("api.example", True)
    assert (other.host, other.is_encrypted) == ("::1", False)
