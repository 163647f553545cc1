"""Stage ``gate``: a policy decides, evidence is written down, an alias moves or stays."""

from llmops.gate.evidence import record
from llmops.gate.policy import gate
from llmops.gate.promotion import promote

__all__ = ["gate", "promote", "record"]
