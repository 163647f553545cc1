"""Stage ``gate``: a policy decides, the evidence is recorded, and a version may be promoted.

``gate`` decides and writes nothing, ``record`` writes, ``promote`` moves an alias on the evidence.
Called, the package is ``llmops.pipeline.gate``, which decides and writes.
"""

from llmops import make_callable
from llmops.gate.evidence import record
from llmops.gate.policy import gate
from llmops.gate.promotion import promote

__all__ = ["gate", "promote", "record"]

make_callable(__name__)
