"""Receipts: each answer says which bytes made it, and the statement can be verified later."""

from llmops.serve.receipts.receipt import Issuer, Receipt, parse
from llmops.serve.receipts.verify import Check, Verified, verify

__all__ = ["Check", "Issuer", "Receipt", "Verified", "parse", "verify"]
