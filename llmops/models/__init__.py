"""Stored models, addressed by content: bases, adapters, pins, versions and their lineage."""

from llmops.models.lineage import lineage
from llmops.models.resolve import resolve

__all__ = ["lineage", "resolve"]
