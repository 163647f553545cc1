"""Serving: one background process per deployment that answers the OpenAI chat protocol.

``create`` starts it, ``ask`` talks to it, ``delete`` stops it. State and log lie in
``LLMOPS_HOME/deployments/<name>/``, so that any later process finds them.
"""

from llmops.serve.deployment.client import ask
from llmops.serve.deployment.process import create, delete, run
from llmops.serve.deployment.smoke_test import smoke_test
from llmops.serve.deployment.state import get, list_all, status

__all__ = ["ask", "create", "delete", "get", "list_all", "run", "smoke_test", "status"]
