"""``mlflow deployments … -t llmops``: a thin client of ``llmops.serve``."""

from typing import Any

from mlflow.deployments import BaseDeploymentClient, PredictionsResponse

from llmops import serve
from llmops.serve import plugin


def target_help() -> str:
    """Return the text of ``mlflow deployments help -t llmops``."""
    return plugin.HELP


@plugin.mlflow_errors()
def run_local(name: str, model_uri: str, flavor: str | None = None, config: Any = None) -> None:
    """Serve in the foreground until Ctrl-C."""
    serve.run(name, model_uri, **plugin.options(config, flavor=flavor))


class LlmopsDeployments(BaseDeploymentClient):  # type: ignore[misc]
    """MLflow's client for deployments on this machine."""

    @plugin.mlflow_errors()
    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Any = None,
        endpoint: str | None = None,
    ) -> dict[str, object]:
        """Start a server and wait until it answers."""
        return plugin.create(name, model_uri, flavor, config, endpoint)

    @plugin.mlflow_errors()
    def update_deployment(self, name: str, model_uri: str | None = None, **_: Any) -> None:
        """Refuse, and name the commands that replace a deployment."""
        plugin.refuse_update(name, model_uri)

    delete_deployment = staticmethod(plugin.mlflow_errors()(serve.delete))

    @plugin.mlflow_errors()
    def list_deployments(self) -> list[dict[str, object]]:
        """Return all deployments, stopped ones included."""
        return list(map(plugin.describe, serve.list_all()))

    @plugin.mlflow_errors()
    def get_deployment(self, name: str) -> dict[str, object]:
        """Return endpoint, version, process, log and status of a deployment."""
        return plugin.describe(serve.get(name))

    @plugin.mlflow_errors()
    def predict(self, deployment_name: Any = None, inputs: Any = None, endpoint: Any = None) -> Any:
        """Return one ``chat.completion`` for each conversation or prompt."""
        return PredictionsResponse(predictions=plugin.predict(deployment_name, inputs, endpoint))

    predict_stream = staticmethod(plugin.mlflow_errors()(plugin.predict_stream))
