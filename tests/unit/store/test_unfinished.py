"""A log that never ends is undone; what turns out to be whole stays."""

from __future__ import annotations

from dataclasses import asdict

import mlflow
import pytest
from versions import logged_models, registered

from llmops.errors import StoreError
from llmops.files import staging
from llmops.models import compat
from llmops.store import connection, unfinished
from llmops.store.tags import UNFINISHED
from llmops.store.unfinished import Mark


def begun(name: str | None) -> Mark:
    """A logged model, and perhaps a registered one, that carry the mark of an open log."""
    mark = unfinished.begin(compat.current_experiment(), name)
    mlflow.initialize_logged_model(name="m", tags=mark.tags)
    if name is not None:
        connection.client().create_registered_model(name, tags=mark.tags)
    return mark


def test_the_mark_is_noted_before_anything_is_made(store: str) -> None:
    with staging.staging():
        mark = unfinished.begin("0", "bot")
        notes = staging._notes(staging._current.get())
    assert unfinished.noted(notes) == mark
    assert notes == asdict(mark)
    assert unfinished.noted({"written": "/tmp/x"}) is None


def test_what_was_begun_is_removed(store: str) -> None:
    (removed, model) = unfinished.undo(begun("bot"))
    assert removed.startswith("logged model m-")
    assert model == "registered model bot"
    assert logged_models() == []
    assert connection.client().search_registered_models() == []


def test_a_registered_model_of_somebody_else_stays(store: str) -> None:
    connection.client().create_registered_model("bot")
    mark = begun(None)
    theirs = Mark(mark.token, mark.experiment_id, mark.tracking, mark.registry, "bot")
    assert len(unfinished.undo(theirs)) == 1
    assert [model.name for model in connection.client().search_registered_models()] == ["bot"]


def test_a_version_that_is_registered_is_whole(store: str) -> None:
    mark = begun("bot")
    (model,) = logged_models()
    source = f"models:/{model.model_id}"
    mlflow.finalize_logged_model(model.model_id, "READY")
    connection.client().create_model_version("bot", source, model_id=model.model_id)
    assert unfinished.undo(mark) == []
    assert registered() == ["bot/1"]
    assert UNFINISHED not in logged_models()[0].tags
    assert UNFINISHED not in connection.client().get_registered_model("bot").tags


@pytest.mark.parametrize("name", ["bot", None])
def test_the_end_of_a_log_takes_its_mark_off(store: str, name: str | None) -> None:
    mark = begun(name)
    (model,) = logged_models()
    assert model.tags[UNFINISHED] == mark.token
    unfinished.finish(mark, model.model_id, registered_model=name is not None)
    assert UNFINISHED not in logged_models()[0].tags
    if name is not None:
        assert UNFINISHED not in connection.client().get_registered_model(name).tags


def test_no_password_is_noted_and_the_store_is_found_all_the_same(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "postgresql://me:secret@db.example/mlflow"
    mlflow.set_tracking_uri(uri)
    with staging.staging() as folder:
        mark = unfinished.begin("0", None)
        assert "secret" not in (folder / staging.NOTES).read_text()
    assert mark.tracking == mark.registry == "postgresql://***@db.example/mlflow"
    used: list[str] = []
    monkeypatch.setattr(mlflow, "MlflowClient", lambda **uris: used.extend(uris.values()))
    mark.client()
    assert used == [uri, uri]
    mlflow.set_tracking_uri(store)
    with pytest.raises(StoreError, match="its password is not known here") as refused:
        mark.client()
    assert "MLFLOW_TRACKING_URI" in str(refused.value.next_command)
