"""``mlflow.models.evaluate(…, evaluators="llmops")``: an A/B comparison with a baseline."""

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models.evaluation import EvaluationResult, ModelEvaluator


class LlmopsEvaluator(ModelEvaluator):  # type: ignore[misc]
    """Evaluator that compares a model with ``evaluator_config["baseline"]``, prompt by prompt."""

    name = "llmops"

    @classmethod
    def can_evaluate(cls, *, model_type: Any, evaluator_config: Any, **_: Any) -> bool:
        """Return whether a baseline is named; without one there is nothing to compare with."""
        return "baseline" in (evaluator_config or {})

    def evaluate(
        self, *, model: Any = None, dataset: Any, run_id: str, evaluator_config: Any, **_: Any
    ) -> EvaluationResult:
        """Log the metrics to the run and return them; the comparison's runs are its children."""
        import mlflow

        from llmops.compare import evaluator
        from llmops.errors import LlmopsError

        try:
            metrics = evaluator.metrics(evaluator.evaluate(model, dataset, evaluator_config))
        except LlmopsError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        known = {name: value for name, value in metrics.items() if value == value}  # without NaN
        mlflow.log_metrics(known, run_id=run_id)
        return EvaluationResult(metrics=metrics, artifacts={}, run_id=run_id)
