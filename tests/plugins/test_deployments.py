from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import standin
from click.testing import CliRunner, Result
from mlflow.deployments import BaseDeploymentClient, get_deploy_client, interface
from mlflow.deployments.cli import commands
from mlflow.exceptions import MlflowException
from processes import started
from tiny_models import build_tiny_adapter
from versions import log_version

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
    store: str,
    tiny_model: Path,
    tiny_adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    standin.use_it(monkeypatch)
    base = add_base(tiny_model, "tiny")
    log_version(tiny_adapter, base, "bot", alias="champion")
    log_version(build_tiny_adapter(tiny_model, tmp_path / "other", seed=5), base, "bot")
    named = ("--name", "quickstart")
    chosen = ("-C", "port=0", "-C", "unproven=allow", "-C", "queue=7")
    created = ok("create", *named, "-m", "models:/bot@champion", *chosen)
    try:
        assert "llmops deployment quickstart is created" in created
        assert "'status': 'running'" in ok("list")
        shown = ok("get", *named).splitlines()
        assert {
            "uri: models:/bot/1",
            "model: bot@v1",
            "source: models:/bot@champion",
            "follow: True",
            "queue: 7",
            "engine: local",
            "proof: none: served without proof",
            "status: running",
        } <= set(shown)
        predict_through_files(tmp_path)
        predict_through_python()
        assert "(with flavor llmops)" in ok("update", *named, "-m", "models:/bot/2")
        assert "model: bot@v2" in ok("get", *named)
        client = get_deploy_client("llmops")
        updated = client.update_deployment("quickstart", model_uri="models:/bot@champion")
        assert (updated["model"], updated["follow"]) == ("bot@v1", True)
        assert client.get_deployment(name="quickstart") == updated
    finally:
        assert "quickstart is deleted" in ok("delete", "--name", "quickstart")
    assert started() == []


def predict_through_files(tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_text(json.dumps({"messages": [*HI, *HI], "max_tokens": 4}))
    whole = json.loads(ok("predict", "--name", "quickstart", "-I", str(path)))
    (completion,) = whole["predictions"]
    assert completion["model"] == "bot@v1"
    assert completion["choices"][0]["message"]["content"] == "hello from here"
    path.write_text(json.dumps([{"prompt": "a", "max_tokens": 3}, {"prompt": "b"}]))
    out = tmp_path / "output.json"
    ok("predict", "--name", "quickstart", "-I", str(path), "-O", str(out))
    first, second = json.loads(out.read_text())["predictions"]
    assert {first["object"], second["object"]} == {"chat.completion"}


def predict_through_python() -> None:
    client = get_deploy_client("llmops")
    (completion,) = client.predict("quickstart", {"messages": HI, "max_tokens": 2})["predictions"]
    assert completion["model"] == "bot@v1"
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
            "did you mean port?",
        ),
        (["create", "--name", "a", "-m", "models:/b/1", "-C", "port=x"], 2, "integer"),
        (["create", "--name", "a", "-m", "models:/b/1", "-C", "engine=vlm"], 2, "vllm"),
        (["create", "--name", "a", "-m", "models:/b/1", "-C", "follow=1"], 2, "one version"),
        (["create", "--name", "a", "-m", "models:/b/1", "-C", "tls_cert=x"], 2, "tls_key"),
        (["update", "--name", "a", "-C", "port=1"], 2, "`update` only has `follow`"),
        (["update", "--name", "a", "--endpoint", "e"], 2, "--name e"),
        (["delete", "--name", "a", "--endpoint", "e"], 2, "--name e"),
        (["delete", "--name", "a", "-C", "force=1"], 2, "no options"),
        (["get", "--name", "a", "--endpoint", "e"], 2, "--name e"),
        (["list", "--endpoint", "e"], 2, "endpoints, which group deployments"),
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

    for method in (
        "create_deployment",
        "update_deployment",
        "delete_deployment",
        "list_deployments",
        "get_deployment",
        "predict",
        "predict_stream",
    ):
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
