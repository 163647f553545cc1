"""Signatures of evidence: Ed25519 over its canonical JSON, with keys in PEM files.

A digest shows that evidence was changed by somebody who could not change its tags, too; a signature
shows it whoever changed it. The signed bytes are those of ``report/evidence.json``, and the signature
is base64, so that openssl can check both.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.errors import UsageError
from llmops.files import private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

VARIABLE = "LLMOPS_SIGNING_KEY"
"""Environment variable that names the file of the private key."""
MAKE_ONE = "llmops evidence keygen FILE"


@dataclass(frozen=True)
class SigningKey:
    """A private key that signs evidence."""

    private: Ed25519PrivateKey = field(repr=False)

    def sign(self, text: str) -> str:
        """Return the signature of a text, 64 bytes in base64."""
        return base64.b64encode(self.private.sign(text.encode())).decode() + "\n"


def signing_key(path: Path | None, environ: Mapping[str, str]) -> SigningKey | None:
    """Read the private key that a user names; ``None`` if none is named.

    Args:
        path: A PEM file with an Ed25519 private key without a password.
        environ: The environment, whose ``LLMOPS_SIGNING_KEY`` names the file if ``path`` is ``None``.

    Raises:
        UsageError: The file cannot be read, or holds no such key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    named = path or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
    if named is None:
        return None
    data = _read(named)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise _no_key(named, "private") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(named, "private")
    return SigningKey(key)


def is_valid(text: str, signature: str, public_key: Path) -> bool:
    """Return whether a signature of a text was made with the private key of a public one.

    Args:
        text: The signed text.
        signature: Signature in base64.
        public_key: A PEM file with an Ed25519 public key.

    Raises:
        UsageError: The file cannot be read, or holds no such key.
    """
    from cryptography.exceptions import InvalidSignature

    key = _public(public_key)
    try:
        key.verify(base64.b64decode(signature, validate=False), text.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def make_keys(path: Path) -> Path:
    """Write a new private key to a file that only its owner can read, and the public key beside it.

    Returns:
        The file of the public key, ``FILE.pub``.

    Raises:
        UsageError: One of the files exists, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    beside = path.with_name(f"{path.name}.pub")
    for file in (path, beside):
        if file.exists():
            raise UsageError(f"{file}: exists already; a key is never replaced")
    try:
        for file, data, mode in ((path, secret, private.FILE_MODE), (beside, public, 0o644)):
            with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as out:
                out.write(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return beside


def _public(path: Path) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(path))
    except ValueError as error:
        raise _no_key(path, "public") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "public")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"key {path}: cannot be read: {error.strerror}", next_command=MAKE_ONE
        ) from error


def _no_key(path: Path, kind: str) -> UsageError:
    return UsageError(
        f"key {path}: expected a PEM file with an Ed25519 {kind} key, without a password",
        next_command=MAKE_ONE,
    )
