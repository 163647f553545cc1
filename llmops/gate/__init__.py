"""Stage ``gate``: a policy decides, the evidence is recorded, and a version may be promoted.

``gate`` decides and writes nothing, ``record`` writes, ``promote`` moves an alias on the evidence.
"""

from typing import Any

import llmops
from llmops.gate.evidence import record
from llmops.gate.policy import gate
from llmops.gate.promotion import promote

__all__ = ["gate", "promote", "record"]


def __getattr__(name: str) -> Any:
    """Return ``check``, which compares first, so its home is the pipeline, above this stage."""
    if name != "check":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return llmops.check
