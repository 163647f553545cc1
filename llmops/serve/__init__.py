"""Stage ``serve``: deployments, background processes that answer the OpenAI protocol.

``create`` starts one, ``ask`` sends a question, ``delete`` stops it. State and log are kept in
``LLMOPS_HOME/deployments/NAME/``, where any later process finds them.
"""

from llmops.serve.deployment.client import ask
from llmops.serve.deployment.process import create, delete, run
from llmops.serve.deployment.smoke_test import smoke_test
from llmops.serve.deployment.state import get, list_all, status

__all__ = ["ask", "create", "delete", "get", "list_all", "run", "smoke_test", "status"]
