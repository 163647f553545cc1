"""``mlflow deployments … -t llmops``: a thin client of ``llmops.serve``."""

from typing import Any

from mlflow.deployments import BaseDeploymentClient, PredictionsResponse

from llmops import serve
from llmops.serve import plugin
from llmops.serve.deployment import texts


def target_help() -> str:
    """Return the text of ``mlflow deployments help -t llmops``."""
    return texts.HELP


@plugin.mlflow_errors()
def run_local(name: str, model_uri: str, flavor: str | None = None, config: Any = None) -> None:
    """Serve in the foreground until Ctrl-C."""
    serve.run(name, model_uri, **plugin.chosen(config, flavor=flavor))


class LlmopsDeployments(BaseDeploymentClient):  # type: ignore[misc]
    """MLflow's client for deployments on this machine."""

    create_deployment = staticmethod(plugin.mlflow_errors()(plugin.create))
    update_deployment = staticmethod(plugin.mlflow_errors()(plugin.update))
    delete_deployment = staticmethod(plugin.mlflow_errors()(plugin.delete))
    list_deployments = staticmethod(plugin.mlflow_errors()(plugin.list_all))
    get_deployment = staticmethod(plugin.mlflow_errors()(plugin.get))

    @plugin.mlflow_errors()
    def predict(self, deployment_name: Any = None, inputs: Any = None, endpoint: Any = None) -> Any:
        """Return one ``chat.completion`` for each conversation or prompt."""
        return PredictionsResponse(predictions=plugin.predict(deployment_name, inputs, endpoint))

    predict_stream = staticmethod(plugin.mlflow_errors()(plugin.predict_stream))
