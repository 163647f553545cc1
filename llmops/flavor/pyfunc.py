"""MLflow's ``python_function``: the object that ``mlflow.pyfunc.load_model`` wraps."""

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
    """A version that refuses requests with MLflow's exception: its scoring server answers with 400.

    Args:
        model: The loaded version.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def predict(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Answer every row; see ``LoadedModel.predict``.

        Raises:
            MlflowException: What ``LoadedModel.predict`` refuses.
        """
        with _refusals():
            return self.model.predict(data, params)

    def predict_stream(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Stream one row; see ``LoadedModel.predict_stream``.

        Raises:
            MlflowException: What ``LoadedModel.predict_stream`` refuses.
        """
        with _refusals():
            yield from self.model.predict_stream(data, params)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn refusals into MLflow's exception: MLflow 3.17 hides the message of any other."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except UsageError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from error


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> PyfuncModel:
    """Load a version for ``mlflow.pyfunc.load_model``, which calls this.

    Args:
        path: The model's directory.
        model_config: Fields of ``LoadOptions``: the saved defaults, with the caller's on top.

    Returns:
        The model, with MLflow's ``predict`` and ``predict_stream``.

    Raises:
        UsageError: An option is unknown, or not available on this machine.
        NotFoundError: No place has the base.
        IntegrityError: The bytes differ from the recorded digests, or the adapter does not fit.

    Example:
        import mlflow

        model = mlflow.pyfunc.load_model("models:/quickstart@champion")
        print(model.predict({"messages": [{"role": "user", "content": "Hello"}]}))
    """
    options = load_options.read(model_config or {}, "model_config")
    files = of_model_dir(Path(path), options)
    return PyfuncModel(LoadedModel(files, open_engine("local", [files], options)))
