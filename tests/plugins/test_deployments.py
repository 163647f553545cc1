from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow.deployments import BaseDeploymentClient, get_deploy_client, interface
from mlflow.deployments.cli import commands
from mlflow.exceptions import MlflowException
from processes import started
from versions import log_version

from llmops import serve
from llmops.errors import ServeError, UsageError
from llmops.flavor import add_base
from llmops.serve import plugin

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point of pyproject.toml, also where the package is not installed."""
    monkeypatch.setattr(interface.plugin_store, "_registry", dict(interface.plugin_store.registry))
    interface.plugin_store.register("llmops", "mlflow_plugins.deployments")


def command(*arguments: str) -> Result:
    verb, *rest = arguments
    return CliRunner().invoke(commands, [verb, "-t", "llmops", *rest])


def ok(*arguments: str) -> str:
    result = command(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_module_is_what_mlflow_looks_for() -> None:
    from mlflow_plugins import deployments

    clients = [
        member
        for _, member in inspect.getmembers(deployments, inspect.isclass)
        if issubclass(member, BaseDeploymentClient) and member is not BaseDeploymentClient
    ]
    assert len(clients) == 1
    assert "port" in ok("help")
    assert len(Path(deployments.__file__).read_text().splitlines()) <= 60


def test_importing_it_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, mlflow_plugins.deployments;"
        "sys.exit(bool({'torch', 'transformers', 'peft', 'uvicorn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_deployment_through_the_command_line(
    store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    log_version(tiny_adapter, add_base(tiny_model, "tiny"), "bot", alias="champion")
    created = ok("create", "--name", "quickstart", "-m", "models:/bot@champion", "-C", "port=0")
    try:
        assert "llmops deployment quickstart is created" in created
        assert "'status': 'running'" in ok("list")
        assert "uri: models:/bot/1" in ok("get", "--name", "quickstart")
        predict_through_files(tmp_path)
        predict_through_python()
        port = serve.get("quickstart").endpoint.rpartition(":")[2]
        update = command("update", "--name", "quickstart", "-m", "models:/bot/2")
        assert update.exit_code == 2
        assert f"-m models:/bot/2 -C port={port}" in update.output
    finally:
        assert "quickstart is deleted" in ok("delete", "--name", "quickstart")
    assert started() == []


def predict_through_files(tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_text(json.dumps({"messages": [*HI, *HI], "max_tokens": 4}))
    whole = json.loads(ok("predict", "--name", "quickstart", "-I", str(path)))
    (completion,) = whole["predictions"]
    assert completion["model"] == "bot/1"
    assert completion["usage"]["completion_tokens"] <= 4
    path.write_text(json.dumps([{"prompt": "a", "max_tokens": 3}, {"prompt": "b"}]))
    out = tmp_path / "output.json"
    ok("predict", "--name", "quickstart", "-I", str(path), "-O", str(out))
    first, second = json.loads(out.read_text())["predictions"]
    assert first["usage"]["completion_tokens"] <= 3
    assert second["object"] == "chat.completion"


def predict_through_python() -> None:
    client = get_deploy_client("llmops")
    (completion,) = client.predict("quickstart", {"messages": HI, "max_tokens": 2})["predictions"]
    assert completion["model"] == "bot/1"
    with pytest.raises(MlflowException, match="tools: not supported"):
        client.predict("quickstart", {"messages": HI, "tools": [1]})
    streamed = client.predict_stream(
        deployment_name="quickstart", inputs={"messages": HI, "max_tokens": 2, "top_k": -1}
    )
    chunks = list(streamed)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(pieces) == completion["choices"][0]["message"]["content"]
    with pytest.raises(MlflowException, match="tools: not supported"):
        list(client.predict_stream("quickstart", {"messages": HI, "tools": [1]}))
    with pytest.raises(MlflowException, match="messages: required"):
        list(client.predict_stream("quickstart", {"max_tokens": 2}))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["get", "--name", "nothing"], 2, "does not exist"),
        (["delete", "--name", "nothing"], 2, "deployments list"),
        (["update", "--name", "nothing"], 2, "does not exist"),
        (
            ["create", "--name", "a", "-m", "models:/b/1", "-C", "prot=1"],
            2,
            "host, port, engine, cors",
        ),
        (["create", "--name", "a", "-m", "models:/b/1", "-C", "port=x"], 2, "integer"),
        (["create", "--name", "a", "-m", "models:/b/1", "-C", "engine=vllm"], 2, "local"),
        (["create", "--name", "a", "-m", "models:/b/1", "-f", "sklearn"], 2, "flavor"),
        (["create", "--name", "a", "-m", "models:/b/1", "--endpoint", "e"], 2, "--name e"),
        (["create", "--name", "a", "-m", "models:/b/1", "-C", "cors=*"], 2, "not an origin"),
        (["create", "--name", "a", "-m", "runs:/b/1"], 2, "models:/NAME"),
        (["run-local", "--name", "a", "-m", "models:/b@c"], 2, "no version has the alias"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    store: str, arguments: list[str], code: int, says: str
) -> None:
    result = command(*arguments)
    assert result.exit_code == code, result.output
    assert "Error: " in result.output
    assert says in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("method", ["predict", "predict_stream"])
def test_mlflows_own_arguments_are_answered_in_its_exception(method: str) -> None:
    call = getattr(get_deploy_client("llmops"), method)
    with pytest.raises(MlflowException, match=r"deployment_name='bot'"):
        call(endpoint="bot", inputs={"messages": HI})
    with pytest.raises(MlflowException, match="deployment_name=NAME"):
        call(inputs={"messages": HI})
    with pytest.raises(MlflowException, match="deployment bot: does not exist"):
        call(deployment_name="bot", inputs={"messages": HI})


def test_the_methods_have_the_arguments_of_mlflows_base_class() -> None:
    from mlflow_plugins.deployments import LlmopsDeployments

    for method in ("predict", "predict_stream"):
        own, base = (
            list(inspect.signature(getattr(kind, method)).parameters)
            for kind in (LlmopsDeployments, BaseDeploymentClient)
        )
        assert own == [name for name in base if name != "self"] or own == base


def test_callers_in_python_get_mlflows_own_exception() -> None:
    with pytest.raises(MlflowException) as failed:
        get_deploy_client("llmops").get_deployment("nothing")
    assert failed.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert plugin.DeploymentFailed(UsageError("x")).error_code == "INVALID_PARAMETER_VALUE"
    assert plugin.DeploymentFailed(ServeError("x")).error_code == "INTERNAL_ERROR"
