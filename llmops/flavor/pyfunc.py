"""MLflow's ``python_function``: what ``mlflow.pyfunc.load_model`` wraps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmops.engine import open_engine
from llmops.errors import UsageError
from llmops.flavor.load import LoadedModel
from llmops.models import load_options
from llmops.models.resolve import of_model_dir


class PyfuncModel:
    """A version whose refusals are MLflow's own exception, which its scoring server answers with 400.

    Args:
        model: The version.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def predict(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """See ``LoadedModel.predict``.

        Raises:
            MlflowException: What ``LoadedModel.predict`` refuses.
        """
        with _refusals():
            return self.model.predict(data, params)

    def predict_stream(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """See ``LoadedModel.predict_stream``.

        Raises:
            MlflowException: What ``LoadedModel.predict_stream`` refuses.
        """
        with _refusals():
            yield from self.model.predict_stream(data, params)


@contextmanager
def _refusals() -> Iterator[None]:
    """MLflow 3.17 shows a caller the words of its own exception only, and hides others."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except UsageError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from error


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> PyfuncModel:
    """Called by MLflow with the model's directory and what ``model_config`` came to."""
    options = load_options.read(model_config or {}, "model_config")
    files = of_model_dir(Path(path), options)
    return PyfuncModel(LoadedModel(files, open_engine("local", [files], options)))
