"""A receipt as text: RFC 9651, read back as it was made, and sealed against every change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from exchanges import served
from hypothesis import given
from hypothesis import strategies as st

from llmops.errors import IntegrityError
from llmops.files import home
from llmops.serve.receipts import receipt as module
from llmops.serve.receipts.receipt import Issuer, Receipt, is_sealed, key_id, key_of_home, parse

TRACE = "tr-" + "1" * 32


def made() -> Receipt:
    return Issuer("bot").issue(served(), TRACE)


def test_the_text_is_a_dictionary_of_strings() -> None:
    receipt = made()
    assert receipt.text == (
        f'deployment="bot", version="bot@v7", adapter="{"a" * 64}", base="{"b" * 64}",'
        f' decision="{"d" * 64}", trace="{TRACE}", seal="{receipt.seal}"'
    )
    assert parse(receipt.text) == receipt
    assert receipt.uri == "models:/bot/7"


def test_a_full_model_without_proof_and_trace_says_so() -> None:
    full = served(proof=None)
    full = replace(full, files=replace(full.files, adapter_digest=None))
    receipt = Issuer("bot").issue(full, None)
    assert f'version="bot@v7", base="{"b" * 64}", decision=unproven, seal=' in receipt.text
    assert parse(receipt.text) == receipt
    assert is_sealed(receipt)


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_name_is_read_back(deployment: str, version: str) -> None:
    names = {"deployment": deployment, "version": version}
    encodable = all(name.encode("utf-8", "replace").decode() == name for name in names.values())
    receipt = Receipt(**names, adapter=None, base="b" * 64, decision=None)
    assert receipt.text.isascii()
    assert receipt.text.isprintable(), "a header can carry it"
    assert not encodable or parse(receipt.text) == receipt


@pytest.mark.parametrize(
    "change",
    [
        {"deployment": "other"},
        {"version": "bot@v8"},
        {"adapter": "c" * 64},
        {"adapter": None},
        {"base": "c" * 64},
        {"decision": "c" * 64},
        {"decision": None},
        {"trace": "tr-" + "2" * 32},
        {"trace": None},
        {"seal": ""},
    ],
    ids=str,
)
def test_the_seal_covers_every_member(change: dict[str, str | None]) -> None:
    assert is_sealed(made()) is True
    assert is_sealed(replace(made(), **change)) is False


def test_a_seal_of_another_machine_is_neither_right_nor_wrong() -> None:
    receipt = made()
    (home.folder("keys") / module.KEY_FILE).unlink()
    assert is_sealed(receipt) is None
    wrong = f"{key_id(key_of_home())}.{receipt.seal.partition('.')[2]}"
    assert is_sealed(replace(receipt, seal=wrong)) is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a dictionary"),
        ("nonsense", "not a dictionary"),
        ('deployment="a', "not a dictionary"),
        ('deployment="a" version="b"', "not a dictionary"),
        ('deployment="a",', "not a dictionary"),
        ('deployment="a", deployment="b"', "occurs twice"),
        ('deployment="a"', "missing members: base, decision, version"),
        ('deployment="a", version="b", base="c", decision=unproven, x="y"', "unknown members: x"),
        ('deployment="a", version="b", base="c", decision=unproven', "base is 'c', not a SHA-256"),
    ],
)
def test_anything_else_is_damaged(text: str, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        parse(text)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(IntegrityError):
        parse(text)


def test_a_text_of_many_members_is_read_in_linear_time() -> None:
    with pytest.raises(IntegrityError):
        parse('a="' + '\\"' * 200_000)
