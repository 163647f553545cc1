"""The receipt of an answer: a line of text, an RFC 9651 dictionary, in a header and in the trace.

    deployment="bot", version="bot@v7", adapter="…", base="…", decision="…", trace="tr-…", seal="…"

Its seal is a keyed digest of the other members, so a receipt cannot be changed, or moved to another
trace, without the key of the machine that made it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from llmops.errors import IntegrityError
from llmops.files import digest, keys
from llmops.records.serving import Served

KEY_FILE = "receipts"
KEY_ID = 16
"""Hexadecimal digits that name a key in a seal."""
UNPROVEN = "unproven"
"""The decision of a version that is served without evidence."""

_NAME = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_DISPLAY = r'%"(?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*"'
_TOKEN = r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"
_MEMBER = re.compile(rf"({_NAME})=({_STRING}|{_DISPLAY}|{_TOKEN})")
_SEPARATOR = re.compile(r"[ \t]*,[ \t]*")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Which bytes answered, and why they may.

    Attributes:
        deployment: Name of the deployment.
        version: Immutable name of the version, such as ``bot@v7``.
        adapter: SHA-256 of the adapter; ``None`` for a full model.
        base: SHA-256 of the base model, or of the full model.
        decision: SHA-256 of the evidence that the version passed its gate; ``None`` if it is served
            without.
        trace: Id of the trace; ``None`` if the answer is not recorded.
        seal: Id of the key, a point, and the keyed digest of the text before; empty without.
    """

    deployment: str
    version: str
    adapter: str | None
    base: str
    decision: str | None
    trace: str | None = None
    seal: str = ""

    @property
    def content(self) -> str:
        """The text that the seal covers."""
        members = {
            "deployment": _string(self.deployment),
            "version": _string(self.version),
            "adapter": _string(self.adapter),
            "base": _string(self.base),
            "decision": _string(self.decision) or UNPROVEN,
            "trace": _string(self.trace),
        }
        return ", ".join(f"{name}={text}" for name, text in members.items() if text)

    @property
    def text(self) -> str:
        """The whole text."""
        return f"{self.content}, seal={_string(self.seal)}" if self.seal else self.content

    @property
    def uri(self) -> str:
        """URI of the version, ``models:/NAME/VERSION``."""
        name, _, number = self.version.rpartition("@v")
        return f"models:/{name}/{number}"


class Issuer:
    """Makes the receipts of a deployment.

    Args:
        deployment: Name of the deployment.

    Raises:
        LlmopsError: The key of this home cannot be read or written.
    """

    def __init__(self, deployment: str) -> None:
        self._deployment, self._key = deployment, key_of_home()
        self._key_id = key_id(self._key)

    def issue(self, served: Served, trace: str | None) -> Receipt:
        """Return the sealed receipt of an answer.

        Args:
            served: The version that answers.
            trace: Id of the answer's trace; ``None`` if it is not recorded.
        """
        files, proof = served.files, served.proof
        receipt = Receipt(
            deployment=self._deployment,
            version=served.name,
            adapter=files.adapter_digest,
            base=files.base.digest,
            decision=proof.digest if proof else None,
            trace=trace,
        )
        seal = keys.seal(self._key, receipt.content)
        return replace(receipt, seal=f"{self._key_id}.{seal}")


def key_of_home() -> bytes:
    """Return the key with which this machine seals receipts.

    Raises:
        LlmopsError: It cannot be read or written.
    """
    loss = "receipts that were made with it can then no longer be verified"
    return keys.key_of_home(KEY_FILE, of="receipts", loss=loss)


def key_id(key: bytes) -> str:
    """Return the digits that name a key in a seal; they do not reveal it."""
    return digest.of_bytes(b"id of " + key)[:KEY_ID]


def is_sealed(receipt: Receipt) -> bool | None:
    """Return whether the seal is right; ``None`` if it was made with the key of another machine.

    Raises:
        LlmopsError: The key of this home cannot be read or written.
    """
    key = key_of_home()
    made_by, _, seal = receipt.seal.partition(".")
    if made_by and made_by != key_id(key):
        return None
    return keys.equal(seal, keys.seal(key, receipt.content))


def parse(text: str) -> Receipt:
    """Read the text of a receipt; members that a later llmops adds are refused, for the seal covers them.

    Raises:
        IntegrityError: The text is not a receipt.
    """
    members: dict[str, str] = {}
    place = 0
    while found := _MEMBER.match(text, place):
        if found[1] in members:
            raise IntegrityError(f"receipt: the member {found[1]} occurs twice")
        members[found[1]] = _value(found[2])
        place = found.end()
        if place == len(text):
            return _receipt(members)
        if (separator := _SEPARATOR.match(text, place)) is None:
            break
        place = separator.end()
    raise IntegrityError(
        f"receipt: not a dictionary of RFC 9651 at character {place}: {text!r:.200}"
    )


def _receipt(members: dict[str, str]) -> Receipt:
    known = {"deployment", "version", "adapter", "base", "decision", "trace", "seal"}
    if unknown := sorted(set(members) - known):
        raise IntegrityError(f"receipt: unknown members: {', '.join(unknown)}")
    if missing := sorted({"deployment", "version", "base", "decision"} - set(members)):
        raise IntegrityError(f"receipt: missing members: {', '.join(missing)}")
    decision = members["decision"]
    receipt = Receipt(
        deployment=members["deployment"],
        version=members["version"],
        adapter=members.get("adapter"),
        base=members["base"],
        decision=None if decision == UNPROVEN else decision,
        trace=members.get("trace"),
        seal=members.get("seal", ""),
    )
    for name in ("adapter", "base", "decision"):
        value = getattr(receipt, name)
        if value is not None and not _DIGEST.fullmatch(value):
            raise IntegrityError(f"receipt: {name} is {value!r:.80}, not a SHA-256 digest")
    return receipt


def _string(value: str | None) -> str:
    """Return a value as a string of RFC 9651, or as its display string beyond ASCII."""
    if value is None:
        return ""
    if value.isascii() and value.isprintable():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    text = re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(value, safe=" "))
    return f'%"{text}"'


def _value(item: str) -> str:
    if item.startswith("%"):
        return unquote(item[2:-1], errors="replace")
    if item.startswith('"'):
        return re.sub(r"\\(.)", r"\1", item[1:-1])
    return item
