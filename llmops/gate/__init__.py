"""Stage ``gate``: a policy decides, the evidence is recorded, and a version may be promoted.

``gate`` decides and writes nothing, ``record`` writes, ``promote`` moves an alias on the evidence, and
``rollback`` moves it back. ``history`` reads what was moved, ``audit`` finds what was moved otherwise.
Called, the package is ``llmops.judging.gate``, which decides and writes.
"""

from typing import Any

import llmops
from llmops import make_callable
from llmops.gate.evidence.record import record
from llmops.gate.policy import gate
from llmops.gate.promotion.audit import audit
from llmops.gate.promotion.history import history
from llmops.gate.promotion.promote import promote
from llmops.gate.promotion.rollback import rollback

__all__ = ["audit", "gate", "history", "promote", "record", "rollback"]

make_callable(__name__)


def __getattr__(name: str) -> Any:
    """Return ``check``, which compares first, so its home is above this stage."""
    if name != "check":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return llmops.check
