"""Stage ``gate``: a policy decides, the evidence is recorded, and a version may be promoted.

``gate`` decides and writes nothing, ``record`` writes, ``promote`` moves an alias on the evidence, and
``rollback`` moves it back. ``history`` reads what was moved, ``audit`` finds what was moved otherwise.
Called, the package is ``llmops.pipeline.gate``, which decides and writes.
"""

from llmops import make_callable
from llmops.gate.audit import audit
from llmops.gate.evidence import record
from llmops.gate.history import history
from llmops.gate.policy import gate
from llmops.gate.promotion import promote
from llmops.gate.rollback import rollback

__all__ = ["audit", "gate", "history", "promote", "record", "rollback"]

make_callable(__name__)
