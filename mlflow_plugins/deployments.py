"""``mlflow deployments … -t llmops``: a thin client of ``llmops.serve``."""

from typing import Any

from mlflow.deployments import BaseDeploymentClient, PredictionsResponse

from llmops import serve
from llmops.serve import plugin


def target_help() -> str:
    """Text of ``mlflow deployments help -t llmops``."""
    return plugin.HELP


@plugin.mlflow_errors()
def run_local(name: str, model_uri: str, flavor: str | None = None, config: Any = None) -> None:
    """Serves in the foreground until Ctrl-C."""
    serve.run(name, model_uri, **plugin.options(config, flavor=flavor))


class LlmopsDeployments(BaseDeploymentClient):  # type: ignore[misc]
    """Deployments on this machine."""

    @plugin.mlflow_errors()
    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Any = None,
        endpoint: str | None = None,
    ) -> dict[str, object]:
        """Starts a server and waits until it answers."""
        return plugin.create(name, model_uri, config, flavor=flavor, endpoint=endpoint)

    @plugin.mlflow_errors()
    def update_deployment(self, name: str, model_uri: str | None = None, **_: Any) -> None:
        """Refused, with the commands that replace a deployment."""
        plugin.refuse_update(name, model_uri)

    @plugin.mlflow_errors()
    def delete_deployment(self, name: str) -> None:
        """Lets answers in flight finish, then ends the server."""
        serve.delete(name)

    @plugin.mlflow_errors()
    def list_deployments(self) -> list[dict[str, object]]:
        """All deployments, stopped ones too."""
        return list(map(plugin.describe, serve.list_all()))

    @plugin.mlflow_errors()
    def get_deployment(self, name: str) -> dict[str, object]:
        """Endpoint, version, process, log and status."""
        return plugin.describe(serve.get(name))

    @plugin.mlflow_errors()
    def predict(self, deployment_name: str | None = None, inputs: Any = None) -> Any:
        """One ``chat.completion`` for each conversation or prompt."""
        return PredictionsResponse(predictions=plugin.predict(deployment_name, inputs))
