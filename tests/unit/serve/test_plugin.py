from __future__ import annotations

import errno

import pytest

from llmops.errors import UsageError
from llmops.records import Proof
from llmops.serve import plugin
from llmops.serve.deployment import state
from llmops.serve.deployment.config import Config

HI = [{"role": "user", "content": "hi"}]


def test_a_full_disk_is_named_to_mlflow() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/home/x/state.json")
    said = r"/home/x/state\.json: .*No space"
    with (
        pytest.raises(plugin.DeploymentFailed, match=said) as refused,
        plugin.mlflow_errors(),
    ):
        raise full
    assert "Next: free disk space" in str(refused.value)
    assert refused.value.exit_code == 1


def test_a_deployment_as_mlflow_prints_it() -> None:
    config = Config(
        name="bot",
        uri="models:/bot@champion",
        follow=True,
        host="127.0.0.1",
        port=9,
        key_hash="ab" * 32,
        queue=7,
        cors=("https://a.example",),
    )
    state.create(config, "http://127.0.0.1:9")
    shown = plugin.get("bot")
    assert plugin.list_all() == [shown]
    assert shown["flavor"] == "llmops"
    assert (shown["name"], shown["source"], shown["follow"]) == ("bot", config.uri, True)
    assert (shown["endpoint"], shown["status"]) == ("http://127.0.0.1:9", "stopped")
    assert shown["log"] == str(state.folder("bot") / "gateway.log")
    assert shown["proof"] == "none: served without proof"
    assert shown["key"] == "from LLMOPS_API_KEY"
    assert (shown["queue"], shown["cors"]) == (7, ["https://a.example"])
    defaults = {"key_hash", "concurrency", "stall", "traces", "tls_cert", "certificate", "doing"}
    assert not shown.keys() & defaults, "what was not chosen"
    state.claim("bot")
    proof = Proof("d" * 64, "IMPROVED", "run-1")
    state.report("bot", model="bot@v7", uri="models:/bot/7", engine="vllm", proof=proof)
    shown = plugin.get("bot")
    assert (shown["model"], shown["uri"], shown["engine"]) == ("bot@v7", "models:/bot/7", "vllm")
    assert shown["proof"] == "IMPROVED, evidence dddddddddddd, run run-1"
    assert shown["status"] == "not ready"
    state.forget("bot")


def test_endpoints_and_options_that_do_not_exist_are_refused() -> None:
    for call in (
        lambda: plugin.list_all("e"),
        lambda: plugin.get("bot", "e"),
        lambda: plugin.delete("bot", endpoint="e"),
        lambda: plugin.update("bot", endpoint="e"),
        lambda: plugin.create("bot", "models:/bot/1", endpoint="e"),
    ):
        with pytest.raises(UsageError, match=r"endpoints, which group deployments(.|\n)*--name e"):
            call()
    with pytest.raises(UsageError, match="-C force: `delete` has no options"):
        plugin.delete("bot", {"force": "true"})
    with pytest.raises(UsageError, match=r"-C port: is chosen by `create`; `update` only has"):
        plugin.update("bot", None, None, {"port": "1"})
    with pytest.raises(UsageError, match=r"option 'folow': unknown \(did you mean follow"):
        plugin.update("bot", None, None, {"folow": "true"})
    with pytest.raises(UsageError, match="--flavor sklearn: not supported"):
        plugin.update("bot", None, "sklearn")
    assert plugin.chosen({"follow": "no"}, flavor="llmops") == {"follow": False}


def test_a_stream_takes_one_chat_request() -> None:
    with pytest.raises(UsageError, match="endpoints, which group deployments, are not supported"):
        plugin.predict_stream("bot", {"messages": HI}, "bot")
    with pytest.raises(UsageError, match="the name of the deployment is missing"):
        plugin.predict_stream(None, {"messages": HI})
