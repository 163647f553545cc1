"""``mlflow deployments … -t llmops``: a thin client of ``llmops.serve``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException

from llmops import serve
from llmops.errors import LlmopsError
from llmops.serve import target


class DeploymentFailed(MlflowException, click.ClickException):  # type: ignore[misc]
    """MLflow's own for callers; its command line prints it without a traceback."""


@contextmanager
def _clean() -> Iterator[None]:
    try:
        yield
    except LlmopsError as error:
        failed = DeploymentFailed(str(error), error_code=target.mlflow_code(error))
        failed.exit_code = error.exit_code
        raise failed from error


@_clean()
def run_local(name: str, model_uri: str, flavor: Any = None, config: Any = None) -> None:
    """Serves in the foreground until Ctrl-C."""
    serve.run(name, model_uri, **target.options(config, flavor=flavor))


def target_help() -> str:
    """Shown by ``mlflow deployments help -t llmops``."""
    return target.HELP


class LlmopsDeployments(BaseDeploymentClient):  # type: ignore[misc]
    """Deployments on this machine."""

    @_clean()
    def create_deployment(  # noqa: D102
        self, name: str, model_uri: str, flavor: Any = None, config: Any = None, endpoint: Any = None
    ) -> dict[str, object]:
        options = target.options(config, flavor=flavor, endpoint=endpoint)
        return target.describe(serve.create(name, model_uri, **options))

    @_clean()
    def update_deployment(self, name: str, model_uri: Any = None, *_: Any, **__: Any) -> None:  # noqa: D102
        raise target.refuse_update(name, model_uri)

    @_clean()
    def delete_deployment(self, name: str, config: Any = None, endpoint: Any = None) -> None:  # noqa: D102
        serve.delete(name)

    @_clean()
    def list_deployments(self, endpoint: Any = None) -> list[dict[str, object]]:  # noqa: D102
        return [target.describe(deployment) for deployment in serve.list_all()]

    @_clean()
    def get_deployment(self, name: str, endpoint: Any = None) -> dict[str, object]:  # noqa: D102
        return target.describe(serve.get(name))

    @_clean()
    def predict(self, deployment_name: Any = None, inputs: Any = None, endpoint: Any = None) -> Any:  # noqa: D102
        return PredictionsResponse(predictions=target.predict(deployment_name, inputs))
