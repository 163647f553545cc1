"""Stage ``data``: examples in; train, validation and test files out, with no group in common."""

from llmops.data.account import account
from llmops.data.prepare import prepare

__all__ = ["account", "prepare"]
