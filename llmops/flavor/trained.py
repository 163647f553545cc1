"""The version of a finished training run: registered once, however often the run resumes."""

from __future__ import annotations

from llmops.flavor.log import log_model
from llmops.models import versions
from llmops.progress import say
from llmops.recipe.schema import Recipe
from llmops.records import ModelVersion, PreparedData, TrainResult
from llmops.store import registry, runs, tags


def register(recipe: Recipe, data: PreparedData, trained: TrainResult) -> ModelVersion:
    """Register the adapter of a training run, unless that was done before, and set the alias.

    Args:
        recipe: The recipe, with the names of model and alias.
        data: The data that the adapter was trained on.
        trained: The finished training run.

    Returns:
        The version of the run.

    Raises:
        StoreError: The MLflow store refuses or does not answer.
        LlmopsError: See ``log_model`` for the other errors.
    """
    model = recipe.flavor.model
    number = registry.version_of_run(model, trained.run_id)
    if number is None:
        with runs.resumed_run(trained.run_id):
            info = log_model(
                trained.adapter_dir,
                base=trained.base,
                registered_model_name=model,
                tags={tags.RECIPE_DIGEST: recipe.digest(), tags.DATA_DIGEST: data.digest},
                step=trained.steps,
            )
        number = str(info.registered_model_version)
    version = versions.get_version(model, number)
    registry.set_alias(model, recipe.flavor.alias, version.version)
    say(f"flavor: registered {version.uri} @{recipe.flavor.alias}")
    runs.rename_run(trained.run_id, f"{model}/{version.version} train")
    return version
