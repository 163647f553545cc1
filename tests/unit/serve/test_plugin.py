from __future__ import annotations

import errno

import pandas as pd
import pytest
from pandas import DataFrame

from llmops.errors import UsageError
from llmops.serve import plugin
from llmops.serve.deployment import origins

HI = [{"role": "user", "content": "hi"}]


def test_a_chat_body_that_mlflow_s_reader_spread_over_rows() -> None:
    frame = DataFrame({"messages": HI * 2, "stop": ["a", "b"], "seed": 7})
    assert plugin._bodies(frame) == [{"messages": HI * 2, "stop": ["a", "b"], "seed": 7}]
    frame = DataFrame({"messages": HI * 2, "max_tokens": [4.0, 4.0], "user": None})
    assert plugin._bodies(frame) == [{"messages": HI * 2, "max_tokens": 4}]


def test_messages_alone() -> None:
    frame = DataFrame({"role": ["user"], "content": [42]})
    assert plugin._bodies(frame) == [{"messages": [{"role": "user", "content": "42"}]}]


def test_a_row_is_a_request() -> None:
    rows = [{"prompt": "a", "max_tokens": 3}, {"prompt": 5, "topic": "x"}]
    first, second = plugin._bodies(DataFrame(rows))
    assert first == {"messages": [{"role": "user", "content": "a"}], "max_tokens": 3}
    # what a request does not know is the server's to refuse
    assert second == {"messages": [{"role": "user", "content": "5"}], "topic": "x"}
    rows = [{"messages": HI, "max_tokens": 3}, {"messages": HI * 3}]
    assert plugin._bodies(DataFrame(rows)) == [rows[0], rows[1]]


@pytest.mark.parametrize("nothing", [pd.DataFrame({"text": ["a"]}), ["a"], None])
def test_other_inputs_are_refused(nothing: object) -> None:
    with pytest.raises(UsageError, match="expected a chat request"):
        plugin._bodies(nothing)  # type: ignore[arg-type]


def test_no_messages_are_left_to_the_server_to_refuse() -> None:
    assert plugin._bodies(DataFrame({"messages": []})) == [{"messages": []}]


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


@pytest.mark.parametrize(
    "given", ["https://a.org,https://b.org", ["https://a.org", "https://b.org"]]
)
def test_origins_come_as_text_or_as_a_list(given: object) -> None:
    chosen = plugin.options({"cors": given})["cors"]
    assert origins.read(chosen) == ("https://a.org", "https://b.org")


def test_a_stream_takes_one_chat_request() -> None:
    with pytest.raises(UsageError, match="endpoints, which group deployments, are not supported"):
        plugin.predict_stream("bot", {"messages": HI}, "bot")
    with pytest.raises(UsageError, match="the name of the deployment is missing"):
        plugin.predict_stream(None, {"messages": HI})
