"""Serving: one background process per deployment that answers the OpenAI chat protocol.

``create`` starts it, ``ask`` talks to it, ``delete`` stops it. State and log lie in
``LLMOPS_HOME/deployments/<name>/``, so that any later process finds them.
"""

from llmops.serve.client import ask
from llmops.serve.process import create, delete, run
from llmops.serve.state import get, list_all, status
from llmops.serve.trial import trial

__all__ = ["ask", "create", "delete", "get", "list_all", "run", "status", "trial"]
