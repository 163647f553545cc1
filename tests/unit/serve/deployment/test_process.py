from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from processes import started
from sides import generate
from versions import log_version

from llmops import serve
from llmops.engine.local.engine import LocalEngine
from llmops.errors import NotFoundError, ServeError, UsageError
from llmops.files import home
from llmops.flavor import add_base
from llmops.models import versions
from llmops.models.resolve import resolve
from llmops.records import Answer, Deployment, Sampling
from llmops.serve.deployment import address, client, process

HI = [{"role": "user", "content": "hi"}]
KEY = "test-key-4711"


@pytest.fixture
def champion(store: str, long_model: Path, tiny_adapter: Path) -> str:
    base = add_base(long_model, "tiny")
    log_version(tiny_adapter, base, "bot", alias="champion")
    return "models:/bot@champion"


@contextmanager
def port_in_use() -> Iterator[int]:
    with closing(address.listen("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def test_a_deployment_from_start_to_drain(champion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_API_KEY", KEY)
    files = resolve(champion)
    expected = generate(LocalEngine([files]), files, [HI], Sampling(max_tokens=12))[0]
    deployment = serve.create("quickstart", champion)
    try:
        assert (deployment.uri, deployment.model) == ("models:/bot/1", "bot/1")
        assert serve.status(deployment) == "running"
        assert serve.get("quickstart") == deployment
        assert serve.ask(deployment, HI, Sampling(max_tokens=12)) == expected
        *pieces, streamed = serve.ask(deployment, HI, Sampling(max_tokens=12), stream=True)
        assert streamed == expected
        assert "".join(pieces) == expected.text
        with pytest.raises(ServeError, match="refused with 400: the prompt has"):
            serve.ask(deployment, HI, Sampling(max_tokens=1_000_000))
        keeps_its_key_to_itself(deployment, monkeypatch)
        refuses_a_second(champion)
        answers = drain(deployment)
    finally:
        serve.delete("quickstart")
    assert isinstance(answers[-1], Answer)
    assert answers[-1].tokens == 1500
    assert started() == []
    assert serve.list_all() == []
    with pytest.raises(ServeError, match="does not answer"):
        serve.ask(deployment, HI)


def keeps_its_key_to_itself(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [deployment.log.read_text(), json.dumps(dataclasses.asdict(deployment), default=str)]
    places += psutil.Process(deployment.pid).cmdline()
    assert not any(KEY in place for place in places)
    monkeypatch.delenv("LLMOPS_API_KEY")
    with pytest.raises(ServeError, match=r"refused with 401(.|\n)*export LLMOPS_API_KEY"):
        serve.ask(deployment, HI)
    monkeypatch.setenv("LLMOPS_API_KEY", KEY)


def refuses_a_second(uri: str) -> None:
    with pytest.raises(ServeError, match="already running"):
        serve.create("quickstart", uri)


def drain(deployment: Deployment) -> list[str | Answer]:
    """Deletes the deployment while it answers; the answer comes to its end."""
    answers: list[str | Answer] = []
    sampling = Sampling(max_tokens=1500, temperature=1.0, seed=1)
    stream = serve.ask(deployment, HI, sampling, stream=True)
    answers.append(next(stream))
    reader = threading.Thread(target=answers.extend, args=(stream,))
    reader.start()
    assert not isinstance(answers[-1], Answer)
    serve.delete(deployment.name)
    reader.join(10)
    deployment.log.parent.mkdir(exist_ok=True)
    process.state.write(deployment)  # for the second delete, which finds a stopped one
    return answers


def test_a_deployment_says_that_the_evidence_is_about_other_bytes(
    champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(versions, "warn_of_other_bytes", lambda files: warned.append(files.uri))
    monkeypatch.setattr(process, "_start", lambda _, uri, *__: uri)
    assert process.create("bot", champion) == "models:/bot/1"
    assert warned == ["models:/bot/1"]


def test_a_server_that_dies_leaves_its_last_words(
    champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")  # the server cannot even start Python
    with pytest.raises(ServeError, match=r"ended with status 1(.|\n)*Python") as failed:
        serve.create("quickstart", champion)
    assert "server.log" in str(failed.value.next_command)
    assert started() == []
    assert serve.list_all() == []


def test_ctrl_c_while_it_loads_leaves_nothing(
    champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(_: str) -> bool:
        assert len(started()) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "is_ready", press)
    with pytest.raises(KeyboardInterrupt):
        serve.create("quickstart", champion)
    assert started() == []
    assert serve.list_all() == []


def test_a_crashed_deployment_is_stopped_and_can_be_deleted(
    champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "is_ready", lambda _: True)  # not worth waiting for
    deployment = serve.create("quickstart", champion)
    psutil.Process(deployment.pid).kill()
    deadline = time.monotonic() + 5
    while serve.status(deployment) != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    again = serve.create("quickstart", champion)
    psutil.Process(again.pid).kill()
    serve.delete("quickstart")
    assert serve.list_all() == []
    os.waitpid(deployment.pid, 0)


def test_what_is_wrong_is_said_before_anything_starts(store: str) -> None:
    with (
        port_in_use() as port,
        pytest.raises(ServeError, match=f"{port}.*in use(.|\n)*another port"),
    ):
        serve.create("quickstart", "models:/bot/1", port=port)
    with pytest.raises(NotFoundError, match="champion"):
        serve.create("quickstart", "models:/bot@champion")
    with pytest.raises(UsageError, match="engine 'vllm': unknown; allowed: local"):
        serve.create("quickstart", "models:/bot/1", engine="vllm")
    for port in (-1, 65536):
        with pytest.raises(UsageError, match="between 0"):
            serve.create("quickstart", "models:/bot/1", port=port)
    with pytest.raises(UsageError, match="not an address"):
        serve.create("quickstart", "models:/bot/1", host="no such host")
    assert not (home.home() / "deployments" / "quickstart").exists()
