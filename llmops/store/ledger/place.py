"""Where a ledger lies: its experiment, its run, and the tag of the registered model that names it."""

from __future__ import annotations

import uuid
from typing import Any

from llmops.errors import NotFoundError, StoreError
from llmops.store import registry, runs
from llmops.store.connection import client, store_errors
from llmops.store.tags import KIND, LEDGER, MODEL_CREATED

DELETED = "deleted"


def experiment_name(name: str) -> str:
    """Return the name of the experiment that holds the ledger of a registered model."""
    return f"{name} promotions"


def find(name: str) -> Any | None:
    """Return MLflow's record of the run that is the ledger, ``None`` if the model has none yet.

    Args:
        name: Registered model.

    Raises:
        NotFoundError: There is no such model.
        StoreError: The ledger was deleted or renamed, is in another tracking store, or is that of an
            earlier model of this name; or the store does not answer.
    """
    model = registry.model_record(name)
    if model is None:
        raise NotFoundError(f"{name}: no such registered model", next_command="llmops doctor")
    with store_errors(f"ledger of {name}"):
        experiment = client().get_experiment_by_name(experiment_name(name))
    tagged = model.tags.get(LEDGER)
    if experiment is None:
        if tagged is not None:
            raise _elsewhere(name, tagged)
        return None
    _refuse_deleted(experiment)
    run_id = experiment.tags.get(LEDGER)
    if run_id is None:
        raise StoreError(
            f"the experiment {experiment.name!r} is not a ledger, but has its name",
            next_command=_rename(experiment, f"{experiment.name} of mine"),
        )
    if tagged not in (None, run_id):
        raise _elsewhere(name, str(tagged))
    if tagged is None:
        _refuse_earlier_model(experiment, model)
    return _run(name, run_id)


def ensure(name: str) -> str:
    """Return the id of the ledger's run; make the ledger if the model has none.

    Raises:
        NotFoundError: There is no such model.
        StoreError: See ``find``.
    """
    run = find(name) or _make(name)
    run_id = str(run.info.run_id)
    if registry.model_tag(name, LEDGER) is None:
        registry.annotate_model(name, LEDGER, run_id)
    return run_id


def _make(name: str) -> Any:
    """Make a ledger and return its run, or that of another process that was first."""
    try:
        with store_errors(f"making the ledger of {name}"):
            _offer(name)
    except StoreError:
        found = find(name)
        if found is None:
            raise
        return found
    return find(name)


def _offer(name: str) -> None:
    """Prepare a ledger under another name, then rename it, which one process can do."""
    model = registry.model_record(name)
    created = "" if model is None else str(model.creation_timestamp)
    begun = client().create_experiment(
        f"{_unfinished(name)}{uuid.uuid4().hex})", tags={MODEL_CREATED: created}
    )
    try:
        run = client().create_run(begun, run_name=experiment_name(name), tags={KIND: "ledger"})
        client().update_run(run.info.run_id, status="FINISHED")
        client().set_experiment_tag(begun, LEDGER, run.info.run_id)
        client().rename_experiment(begun, experiment_name(name))
    except Exception:
        client().delete_experiment(begun)
        raise
    _remove_unfinished(name)


def _remove_unfinished(name: str) -> None:
    """Delete the experiments of processes that came second, or were killed before they renamed."""
    for left in client().search_experiments(filter_string="name LIKE '%(new, %'"):
        if left.name.startswith(_unfinished(name)):  # in a pattern, a name's `_` is any character
            client().delete_experiment(left.experiment_id)


def _unfinished(name: str) -> str:
    return f"{experiment_name(name)} (new, "


def _run(name: str, run_id: str) -> Any:
    run = runs.find_run(run_id)
    if run is None:
        raise _elsewhere(name, run_id)
    if run.info.lifecycle_stage == DELETED:
        raise StoreError(
            f"{name}: its ledger, run {run_id}, was deleted; no promotion is possible without it",
            next_command=f"mlflow runs restore --run-id {run_id}",
        )
    return run


def _refuse_deleted(experiment: Any) -> None:
    if experiment.lifecycle_stage == DELETED:
        raise StoreError(
            f"the experiment {experiment.name!r}, the ledger of promotions, was deleted; no promotion"
            " is possible without it",
            next_command=f"mlflow experiments restore --experiment-id {experiment.experiment_id}",
        )


def _refuse_earlier_model(experiment: Any, model: Any) -> None:
    """Refuse the ledger of a model that was deleted, and has only the name in common."""
    if experiment.tags.get(MODEL_CREATED) != str(model.creation_timestamp):
        raise StoreError(
            f"the experiment {experiment.name!r} is the ledger of an earlier model {model.name!r},"
            " which was deleted",
            next_command=_rename(experiment, f"{experiment.name} {experiment.experiment_id}")
            + ", then rerun",
        )


def _elsewhere(name: str, run_id: str) -> StoreError:
    """Return the error for a model whose tag names a ledger that is not where it belongs."""
    run = runs.find_run(run_id)
    if run is None:
        return StoreError(
            f"{name}: its ledger of promotions is run {run_id}, which is not in the tracking store"
            f" {client().tracking_uri}",
            next_command="set MLFLOW_TRACKING_URI to the store that has it. If it was removed for good,"
            f" begin a new history: {_untag(name)}",
        )
    with store_errors(f"ledger of {name}"):
        experiment = client().get_experiment(run.info.experiment_id)
    return StoreError(
        f"{name}: its ledger of promotions, run {run_id}, is in the experiment {experiment.name!r},"
        f" not in {experiment_name(name)!r}: model or experiment was renamed, or the tag {LEDGER} was"
        " changed",
        next_command=_rename(experiment, experiment_name(name))
        + f". If the tag is wrong, remove it: {_untag(name)}",
    )


def _rename(experiment: Any, name: str) -> str:
    return (
        f'mlflow experiments rename --experiment-id {experiment.experiment_id} --new-name "{name}"'
    )


def _untag(name: str) -> str:
    return (
        "python -c 'import mlflow; mlflow.MlflowClient()"
        f'.delete_registered_model_tag("{name}", "{LEDGER}")\''
    )
