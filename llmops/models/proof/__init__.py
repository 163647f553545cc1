"""Proof: the evidence of a version, read back whole, and about exactly the version's bytes."""

from llmops.models.proof.evidence import Recorded, proof, recorded, recorded_as

__all__ = ["Recorded", "proof", "recorded", "recorded_as"]
