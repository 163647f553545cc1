"""Secret keys of this home, for seals: keyed digests (HMAC-SHA256) over what llmops wrote itself.

A key lies in ``LLMOPS_HOME/keys``, so whoever can read the files of this account can seal as well.
"""

from __future__ import annotations

import hmac
import secrets

from llmops.errors import LlmopsError
from llmops.files import home, private
from llmops.files.staging import lock

KEY_BYTES = 32


def key_of_home(name: str, *, of: str, loss: str) -> bytes:
    """Return a key of this home, which is made at first use.

    Args:
        name: File of the key, such as ``answers``.
        of: What it seals, for an error.
        loss: What a user loses with the key, for an error.

    Raises:
        LlmopsError: It cannot be read or written.
    """
    path = home.folder("keys") / name
    try:
        with lock(f"key-of-{name}"):  # the first of several processes makes it
            if not (path.is_file() and path.stat().st_size == 2 * KEY_BYTES):
                home.write_whole(path, secrets.token_hex(KEY_BYTES))
            private.tighten(path, private.FILE_MODE)
            return bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise LlmopsError(
            f"{path}: the key of the {of} cannot be read or written: {error}",
            next_command=f"rm -f {path}  ({loss})",
        ) from error


def seal(key: bytes, text: str) -> str:
    """Return the seal of a text, 64 hexadecimal digits."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def equal(found: object, expected: str) -> bool:
    """Compare seals in constant time; what was found may be anything."""
    return isinstance(found, str) and hmac.compare_digest(found.encode(), expected.encode())
