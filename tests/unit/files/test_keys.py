"""Keys of this home: made once, readable by their owner only, and named when they are unusable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from llmops.errors import LlmopsError
from llmops.files import home, keys


def test_a_key_is_made_once_for_each_purpose() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(
            pool.map(lambda _: keys.key_of_home("receipts", of="receipts", loss="x"), range(8))
        )
    (key,) = made
    assert len(key) == keys.KEY_BYTES
    assert keys.key_of_home("answers", of="receipts", loss="x") != key
    file = home.folder("keys") / "receipts"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_seal_holds_for_its_key_and_text_only() -> None:
    key, other = b"k" * 32, b"o" * 32
    seal = keys.seal(key, "text")
    assert len(seal) == 64
    assert keys.equal(seal, keys.seal(key, "text"))
    for wrong in (keys.seal(other, "text"), keys.seal(key, "text "), "", "ä", None, 7, b"x"):
        assert not keys.equal(wrong, seal)


def test_a_file_cut_short_is_replaced() -> None:
    file = home.folder("keys") / "receipts"
    file.write_text("abc")
    assert len(keys.key_of_home("receipts", of="receipts", loss="x")) == keys.KEY_BYTES


@pytest.mark.parametrize("content", ["z" * 64, "é" * 32])
def test_a_damaged_key_is_named_with_what_its_loss_costs(content: str) -> None:
    file = home.folder("keys") / "receipts"
    file.write_text(content)
    with pytest.raises(LlmopsError, match="the key of the receipts cannot be read") as caught:
        keys.key_of_home("receipts", of="receipts", loss="older receipts can no longer be verified")
    assert caught.value.next_command == f"rm -f {file}  (older receipts can no longer be verified)"
