from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
import standin
from processes import started
from standin import eventually

from llmops import serve
from llmops.errors import NotFoundError, ServeError, StoreError, UsageError
from llmops.files import home
from llmops.records import Answer, Deployment, Sampling
from llmops.serve.auth import store as keys
from llmops.serve.deployment import address, client, launch, process, state
from llmops.serve.deployment.record import database

HI = [{"role": "user", "content": "hi"}]
KEY = "test-key-4711"


@contextmanager
def port_in_use() -> Iterator[int]:
    with closing(address.listen("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def engines() -> list[psutil.Process]:
    """The live engines that the gateway of ``bot`` recorded."""
    processes = state.get_record("bot").status.processes
    return [found for one in processes if (found := one.alive()) is not None]


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_deployment_from_start_to_drain(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_API_KEY", KEY)
    deployment = serve.create("bot", versions, unproven="allow")
    try:
        assert (deployment.uri, deployment.model) == ("models:/bot/1", "bot@v1")
        assert (deployment.source, deployment.follow) == (versions, True)
        assert serve.status(deployment) == "running"
        assert serve.get("bot") == deployment
        assert serve.list_all() == [deployment]
        answer = serve.ask(deployment, HI, Sampling(max_tokens=12))
        *pieces, streamed = serve.ask(deployment, HI, Sampling(max_tokens=12), stream=True)
        assert streamed == answer
        assert "".join(pieces) == answer.text == "hello from here"
        keeps_its_key_to_itself(deployment, monkeypatch)
        with pytest.raises(ServeError, match=r"already running(.|\n)*deployments update"):
            serve.create("bot", "models:/bot/2", unproven="allow")
        answers = drain(deployment)
    finally:
        if serve.list_all():
            serve.delete("bot")
    assert isinstance(answers[-1], Answer)
    assert started(recursive=True) == []
    assert serve.list_all() == []
    assert not deployment.log.parent.exists()
    with pytest.raises(ServeError, match="does not answer"):
        serve.ask(deployment, HI)


def keeps_its_key_to_itself(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [deployment.log.read_text(), json.dumps(dataclasses.asdict(deployment), default=str)]
    places += [*psutil.Process(deployment.pid).cmdline(), state.get_record("bot").config.to_json()]
    places += psutil.Process(deployment.pid).environ().values()
    assert not any(KEY in place for place in places)
    files = database.path().parent.glob("state.db*")
    assert not any(KEY.encode() in file.read_bytes() for file in files)
    monkeypatch.delenv("LLMOPS_API_KEY")
    with pytest.raises(ServeError, match=r"refused with 401(.|\n)*export LLMOPS_API_KEY"):
        serve.ask(deployment, HI)
    assert serve.ask(deployment, HI, key=KEY).text == "hello from here"
    monkeypatch.setenv("LLMOPS_API_KEY", KEY)


def drain(deployment: Deployment) -> list[str | Answer]:
    """Deletes the deployment while it answers; the answer comes to its end."""
    answers: list[str | Answer] = []
    stream = serve.ask(deployment, HI, Sampling(max_tokens=8), stream=True)
    answers.append(next(stream))
    reader = threading.Thread(target=answers.extend, args=(stream,))
    reader.start()
    serve.delete(deployment.name)
    reader.join(10)
    return answers


def test_of_two_commands_at_once_one_wins_and_the_other_says_so(
    gateway: None, versions: str
) -> None:
    outcomes: list[object] = []

    def create() -> None:
        try:
            outcomes.append(serve.create("bot", versions, unproven="allow"))
        except ServeError as error:
            outcomes.append(error)

    both = [threading.Thread(target=create) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    try:
        (lost,) = [outcome for outcome in outcomes if isinstance(outcome, ServeError)]
        assert "another command is starting" in lost.message
        assert len(serve.list_all()) == 1
    finally:
        serve.delete("bot")


def test_a_version_without_proof_is_refused_unless_that_is_allowed(
    gateway: None, versions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="no evidence") as refused:
        serve.create("bot", versions)
    assert "-C unproven=allow" in str(refused.value)
    assert started() == []
    assert serve.list_all() == []
    serve.create("bot", versions, unproven="allow")
    serve.delete("bot")
    said = capsys.readouterr().err
    assert "warning: unproven=allow serves a version without proof: models:/bot/1: has no" in said
    assert "served without proof" in said


def test_a_gateway_that_does_not_start_says_why(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN", "refuse")
    with pytest.raises(ServeError, match="deployment bot: CUDA out of memory") as refused:
        serve.create("bot", versions, unproven="allow")
    assert refused.value.next_command == "choose a smaller base"
    monkeypatch.setenv("STANDIN", "crash")
    ends = r"ended with status 1(.|\n)*crashed without a reason"
    with pytest.raises(ServeError, match=ends) as crashed:
        serve.create("bot", versions, unproven="allow")
    log = state.folder("bot") / "gateway.log"
    assert crashed.value.next_command == f"less {log}"
    assert "crashed" in log.read_text()
    assert started(recursive=True) == []
    assert serve.list_all() == []


def test_ctrl_c_while_it_loads_leaves_nothing(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN", "slow")
    found: list[psutil.Process] = []

    def press(*_: object) -> bool:
        found.extend(engines())
        if found:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(client, "is_ready", press)
    with pytest.raises(KeyboardInterrupt):
        serve.create("bot", versions, unproven="allow")
    assert started() == []
    assert all(map(ended, found))
    assert serve.list_all() == []


def command(call: str) -> subprocess.Popen[str]:
    """Starts a command in a process of its own."""
    code = (
        "from llmops import serve; from llmops.serve.deployment import launch;"
        f"launch.GATEWAY = 'standin_gateway'; serve.{call}"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def test_a_create_that_is_killed_leaves_a_deployment_that_list_shows(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN", "slow")
    with command(f"create('bot', {versions!r}, unproven='allow')") as killed:
        try:
            eventually(lambda: bool(serve.list_all() and engines()))
        finally:
            killed.kill()
    (deployment,) = serve.list_all()
    assert serve.status(deployment) == "not ready"
    processes = [*engines(), psutil.Process(deployment.pid)]
    serve.delete("bot")
    assert all(map(ended, processes))


def test_restart_brings_a_killed_gateway_back_without_orphans(deployed: Deployment) -> None:
    (engine,) = engines()
    psutil.Process(deployed.pid).kill()
    eventually(lambda: serve.status(deployed) == "stopped")
    assert not ended(engine), "the stand-in's engine outlives it, as an engine might"
    again = serve.restart("bot")
    assert again.endpoint == deployed.endpoint, "the same port"
    assert (again.uri, again.source, again.follow) == (deployed.uri, deployed.source, True)
    assert again.pid != deployed.pid
    assert serve.status(again) == "running"
    assert ended(engine)


def test_restart_of_a_running_one_and_of_one_that_does_not_start(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = serve.restart("bot")
    assert (again.endpoint, again.model) == (deployed.endpoint, deployed.model)
    assert again.pid != deployed.pid
    monkeypatch.setenv("STANDIN", "refuse")
    with pytest.raises(ServeError, match="CUDA out of memory"):
        serve.restart("bot")
    stopped = serve.get("bot")
    assert serve.status(stopped) == "stopped"
    assert stopped.note == "CUDA out of memory"
    monkeypatch.delenv("STANDIN")
    assert serve.restart("bot").endpoint == deployed.endpoint
    with pytest.raises(NotFoundError, match="deployment other: does not exist"):
        serve.restart("other")


def test_a_crashed_deployment_can_be_created_again_and_deleted(deployed: Deployment) -> None:
    (engine,) = engines()
    psutil.Process(deployed.pid).kill()
    eventually(lambda: serve.status(deployed) == "stopped")
    again = serve.create("bot", "models:/bot/2", unproven="allow")
    assert ended(engine)
    (other,) = engines()
    psutil.Process(again.pid).kill()
    serve.delete("bot")
    assert ended(other)
    assert serve.list_all() == []


def test_a_pinned_alias_is_the_version_that_it_names_now(gateway: None, versions: str) -> None:
    pinned = serve.create("bot", versions, follow=False, unproven="allow")
    serve.delete("bot")
    assert (pinned.source, pinned.follow) == ("models:/bot/1", False)


def test_in_the_foreground_until_sigterm(gateway: None, versions: str) -> None:
    with command(f"run('bot', {versions!r}, unproven='allow')") as foreground:
        try:
            assert foreground.stderr is not None
            assert any("Press Ctrl-C" in line for line in foreground.stderr)
            gateway_process = psutil.Process(serve.get("bot").pid)
            foreground.send_signal(signal.SIGTERM)
            assert foreground.wait(standin.SECONDS) == 0
        finally:
            foreground.kill()
    assert serve.list_all() == []
    assert ended(gateway_process)


def test_in_the_foreground_until_the_gateway_ends(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = process.create

    def killed(*arguments: str, **given: object) -> Deployment:
        deployment = create(*arguments, **given)
        psutil.Process(deployment.pid).kill()
        return deployment

    monkeypatch.setattr(process, "create", killed)
    with pytest.raises(ServeError, match="stopped by itself"):
        serve.run("bot", versions, unproven="allow")
    serve.delete("bot")


def test_what_is_wrong_is_said_before_anything_starts(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "GATEWAY", "not_even_tried")
    with (
        port_in_use() as port,
        pytest.raises(ServeError, match=f"{port}.*in use(.|\n)*another port"),
    ):
        serve.create("bot", "models:/bot/1", port=port)
    for uri, says in (
        ("models:/bot@nobody", "no version has the alias 'nobody'"),
        ("models:/bot/99", "bot"),
        ("models:/other/1", "other"),
    ):
        with pytest.raises(NotFoundError, match=says):
            serve.create("bot", uri)
    for uri in ("runs:/x/y", "bot", str(Path.cwd())):
        with pytest.raises(UsageError, match="models:/NAME/VERSION or models:/NAME@ALIAS"):
            serve.create("bot", uri)
    for host in ("0.0.0.0", "::"):
        with pytest.raises(UsageError, match=r"no key is set(.|\n)*llmops keys add"):
            serve.create("bot", "models:/bot/1", host=host)
    monkeypatch.delenv("LLMOPS_VLLM_PYTHON", raising=False)
    with pytest.raises(NotFoundError, match=r"vLLM(.|\n)*LLMOPS_VLLM_PYTHON"):
        serve.create("bot", "models:/bot/1", engine="vllm")
    monkeypatch.setenv("LLMOPS_API_KEY", f" {KEY}")
    with pytest.raises(UsageError, match="LLMOPS_API_KEY: the key begins or ends with a blank"):
        serve.create("bot", "models:/bot/1")
    assert not (home.home() / "deployments" / "bot").exists()
    assert started() == []


def test_a_registry_that_is_down_is_said_before_anything_starts(gateway: None, store: str) -> None:
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    try:
        with pytest.raises(StoreError, match="not reachable"):
            serve.create("bot", "models:/bot/1")
    finally:
        mlflow.set_tracking_uri(before)
    assert not (home.home() / "deployments" / "bot").exists()


def test_a_key_of_the_table_opens_a_deployment_to_other_machines(
    gateway: None, versions: str
) -> None:
    key = keys.add("ci")
    deployment = serve.create("bot", versions, host="0.0.0.0", unproven="allow")
    try:
        with pytest.raises(ServeError, match="401"):
            serve.ask(deployment, HI)
        assert serve.ask(deployment, HI, key=key).text == "hello from here"
    finally:
        serve.delete("bot")


def test_a_key_of_the_table_in_the_environment_is_revoked_as_any_other(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keys.add("ci")
    monkeypatch.setenv("LLMOPS_API_KEY", key)
    deployment = serve.create("bot", versions, unproven="allow")
    try:
        assert state.get_record("bot").config.key_hash is None
        assert serve.ask(deployment, HI).text == "hello from here"
        keys.revoke("ci")
        monkeypatch.delenv("LLMOPS_API_KEY")
        with pytest.raises(
            ServeError, match=r"401: a key is required|\(LLMOPS_API_KEY is not set\)"
        ):
            serve.ask(deployment, HI)
    finally:
        serve.delete("bot")
    with pytest.raises(UsageError, match="this key was revoked"):
        serve.create("bot", versions, key=key, unproven="allow")
