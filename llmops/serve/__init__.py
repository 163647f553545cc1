"""Stage ``serve``: deployments, background processes that answer the OpenAI protocol.

``create`` starts one, ``update`` gives it another version, ``ask`` sends a question, ``delete`` stops
it. State and logs are kept in ``LLMOPS_HOME/deployments/``, where any later process finds them.
"""

from llmops.serve.deployment.client import ask
from llmops.serve.deployment.listing import get, list_all, status
from llmops.serve.deployment.process import create, delete, restart, run
from llmops.serve.deployment.smoke_test import smoke_test
from llmops.serve.deployment.update import update

__all__ = [
    "ask",
    "create",
    "delete",
    "get",
    "list_all",
    "restart",
    "run",
    "smoke_test",
    "status",
    "update",
]
