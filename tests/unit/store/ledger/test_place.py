"""Where a ledger lies: made once, and never made anew because it is not where it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import mlflow
import pytest

from llmops.errors import NotFoundError, StoreError
from llmops.records.promotion import Kind
from llmops.store import connection, ledger
from llmops.store.ledger import place


@pytest.fixture
def client(store: str) -> Any:
    made = connection.client()
    made.create_registered_model("bot")
    return made


def begin() -> str:
    """A ledger with one entry; the id of its experiment."""
    entry = ledger.new_entry(1, Kind.PROMOTE, "champion", None, "1", identity="ab" * 32)
    assert ledger.append("bot", entry)
    found = connection.client().get_experiment_by_name("bot promotions")
    return str(found.experiment_id)


def test_without_a_model_there_is_no_ledger(store: str) -> None:
    with pytest.raises(NotFoundError, match="bot: no such registered model"):
        place.find("bot")


def test_a_ledger_is_made_once_by_many(client: Any) -> None:
    client.create_registered_model("bXt")  # `_` of "b_t" would be any character in a pattern
    client.create_registered_model("b_t")
    other = client.create_experiment("bXt promotions (new, 1)")
    assert place.find("bot") is None
    start = Barrier(6)

    def make(_: int) -> str:
        start.wait()
        return place.ensure("bot")

    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(make, range(6)))
    (run_id,) = made
    assert place.find("bot").info.run_id == run_id
    assert client.get_registered_model("bot").tags["llmops.ledger"] == run_id
    assert client.get_run(run_id).info.status == "FINISHED"
    place.ensure("b_t")
    begun = [e.name for e in client.search_experiments() if "(new" in e.name]
    assert begun == ["bXt promotions (new, 1)"], "another model's is left alone"
    assert client.get_experiment(other).lifecycle_stage == "active"


def test_a_deleted_ledger_is_not_begun_anew(client: Any) -> None:
    experiment = begin()
    client.delete_experiment(experiment)
    for work in (place.find, place.ensure, ledger.entries):
        with pytest.raises(StoreError, match="the ledger of promotions, was deleted") as said:
            work("bot")
        assert said.value.next_command == f"mlflow experiments restore --experiment-id {experiment}"
    client.restore_experiment(experiment)
    run_id = place.find("bot").info.run_id
    client.delete_run(run_id)
    with pytest.raises(StoreError, match="was deleted; no promotion") as said:
        ledger.entries("bot")
    assert said.value.next_command == f"mlflow runs restore --run-id {run_id}"
    client.restore_run(run_id)
    assert len(ledger.entries("bot")) == 1


def test_a_renamed_ledger_is_named(client: Any) -> None:
    experiment = begin()
    client.rename_experiment(experiment, "something else")
    with pytest.raises(StoreError, match="in the experiment 'something else', not in") as said:
        place.ensure("bot")
    assert str(said.value.next_command).startswith(
        f'mlflow experiments rename --experiment-id {experiment} --new-name "bot promotions"'
    )
    client.rename_experiment(experiment, "bot promotions")
    client.rename_registered_model("bot", "robot")
    with pytest.raises(StoreError, match="model or experiment was renamed"):
        ledger.entries("robot")
    client.rename_experiment(experiment, "robot promotions")
    assert len(ledger.entries("robot")) == 1


def test_a_ledger_in_another_tracking_store_is_named(
    client: Any, tmp_path: Any, store: str
) -> None:
    begin()
    mlflow.set_registry_uri(store)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'other.db'}")
    try:
        with pytest.raises(StoreError, match=r"is not in the tracking store .*other\.db") as said:
            place.ensure("bot")
        assert str(said.value.next_command).startswith("set MLFLOW_TRACKING_URI")
        client = connection.client()
        run = client.create_run(
            client.create_experiment("bot promotions")
        )  # with another of its own
        client.set_experiment_tag(run.info.experiment_id, "llmops.ledger", run.info.run_id)
        with pytest.raises(StoreError, match="is not in the tracking store"):
            ledger.entries("bot")
    finally:
        mlflow.set_registry_uri(None)


def test_a_ledger_that_was_removed_for_good_is_begun_anew_only_on_command(client: Any) -> None:
    client.set_registered_model_tag("bot", "llmops.ledger", "0" * 32)
    with pytest.raises(StoreError, match="is not in the tracking store") as said:
        place.ensure("bot")
    code = str(said.value.next_command).partition("python -c '")[2].rstrip("'")
    exec(code)
    assert place.find("bot") is None
    begin()


def test_the_ledger_of_an_earlier_model_of_this_name_is_refused(client: Any) -> None:
    experiment = begin()
    client.delete_registered_model("bot")
    client.create_registered_model("bot")
    with pytest.raises(StoreError, match="the ledger of an earlier model 'bot'") as said:
        place.ensure("bot")
    assert "mlflow experiments rename" in str(said.value.next_command)
    client.rename_experiment(experiment, f"bot promotions {experiment}")
    assert ledger.entries("bot") == ()
    begin()


def test_an_experiment_of_that_name_is_no_ledger(client: Any) -> None:
    client.create_experiment("bot promotions")
    with pytest.raises(StoreError, match="is not a ledger, but has its name"):
        place.ensure("bot")


def test_a_tag_that_was_removed_is_written_again(client: Any) -> None:
    begin()
    run_id = place.find("bot").info.run_id
    client.delete_registered_model_tag("bot", "llmops.ledger")
    assert len(ledger.entries("bot")) == 1
    place.ensure("bot")
    assert client.get_registered_model("bot").tags["llmops.ledger"] == run_id
