"""A comparison behind ``mlflow.models.evaluate``: its arguments in, its metrics out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmops.compare.harness import compare
from llmops.compare.suite.load import load_suite
from llmops.errors import UsageError
from llmops.recipe.schema import Compare
from llmops.records import Comparison

OPTIONS = tuple(dict.fromkeys(("baseline", "candidate", "name", *Compare.model_fields)))
"""Keys allowed in ``evaluator_config``."""


def evaluate(model: Any, dataset: Any, config: Mapping[str, Any]) -> Comparison:
    """Compare a model with ``evaluator_config["baseline"]`` on an evaluation dataset.

    Args:
        model: The pyfunc that MLflow loaded; its logged model is the candidate.
        dataset: MLflow's evaluation dataset; its targets are the expected answers.
        config: ``evaluator_config``: ``baseline``, and optionally other keys of ``OPTIONS``.

    Raises:
        UsageError: A key is unknown, or the model was not logged.
    """
    unknown = sorted(set(config) - set(OPTIONS))
    if unknown:
        raise UsageError(
            f"evaluator_config: unknown {', '.join(unknown)}; allowed: {', '.join(OPTIONS)}"
        )
    candidate = config.get("candidate") or _logged_model_uri(model)
    chosen = {name: config[name] for name in Compare.model_fields if name in config}
    chosen.pop("baseline", None)
    chosen.pop("scorers", None)
    frame = dataset.features_data.copy()
    if dataset.labels_data is not None:
        frame["expected"] = list(dataset.labels_data)
    suite = load_suite(frame, name=config.get("name") or dataset.name)
    return compare(
        config["baseline"],
        candidate,
        suite,
        Compare.model_validate(chosen),
        scorers=config.get("scorers"),
    )


def metrics(comparison: Comparison) -> dict[str, float]:
    """Return mean, difference, interval and p-value of each scorer, as MLflow's flat metrics.

    Keys are ``SCORER`` (the candidate's mean), ``delta/SCORER``, ``lo/SCORER``, ``hi/SCORER`` and
    ``p/SCORER``.
    """
    return {
        name: float(value)
        for result in comparison.metrics
        for name, value in (
            (result.metric, result.candidate),
            (f"delta/{result.metric}", result.test.difference),
            (f"lo/{result.metric}", result.test.low),
            (f"hi/{result.metric}", result.test.high),
            (f"p/{result.metric}", result.test.p_value),
        )
    }


def _logged_model_uri(model: Any) -> str:
    model_id = getattr(getattr(model, "metadata", None), "model_id", None)
    if not model_id:
        raise UsageError(
            "the model was not logged, so the candidate is unknown; name it:"
            " evaluator_config={'candidate': 'models:/NAME/VERSION', …}"
        )
    return f"models:/{model_id}"
