"""Signatures of evidence: made with one key, checked with another, by openssl too."""

from __future__ import annotations

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from llmops.errors import UsageError
from llmops.gate.evidence.signature import is_valid, make_keys, signing_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_keys(tmp_path / "gate.pem")
    return tmp_path / "gate.pem"


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def test_a_signature_holds_for_its_text_and_its_key_only(key: Path, tmp_path: Path) -> None:
    made = signing_key(key, {})
    assert made is not None
    signature = made.sign("evidence")
    assert is_valid("evidence", signature, public(key))
    assert not is_valid("evidence.", signature, public(key))
    other = make_keys(tmp_path / "other.pem")
    assert not is_valid("evidence", signature, other)
    for damaged in ("", "no base64", signature[4:], "A" + signature[1:]):
        assert not is_valid("evidence", damaged, public(key))


def test_the_variable_names_a_key_unless_the_command_does(key: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "other.pem")
    named = {"LLMOPS_SIGNING_KEY": str(tmp_path / "other.pem")}
    assert signing_key(None, {}) is None
    assert signing_key(None, {"LLMOPS_SIGNING_KEY": ""}) is None
    for path, pub in ((None, tmp_path / "other.pem.pub"), (key, public(key))):
        made = signing_key(path, named)
        assert made is not None
        assert is_valid("x", made.sign("x"), pub)


def test_a_private_key_is_readable_by_its_owner_only_and_never_replaced(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        make_keys(key)
    key.unlink()
    with pytest.raises(UsageError, match=r"gate\.pem\.pub: exists already"):
        make_keys(key)
    assert not key.exists()
    assert before.startswith(b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        make_keys(key.parent / "no" / "key.pem")


def test_what_is_no_key_is_refused(key: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    for path, says in (
        (tmp_path / "none.pem", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (text, "expected a PEM file with an Ed25519 private key"),
        (public(key), "expected a PEM file with an Ed25519 private key"),
    ):
        with pytest.raises(UsageError, match=says) as caught:
            signing_key(path, {})
        assert caught.value.next_command == "llmops evidence keygen FILE"
    with pytest.raises(UsageError, match="expected a PEM file with an Ed25519 public key"):
        is_valid("x", "", key)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_makes_keys_and_checks_signatures(tmp_path: Path) -> None:
    def openssl(*arguments: str) -> int:
        line = ["openssl", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, check=False).returncode

    if openssl("genpkey", "-algorithm", "ed25519", "-out", "key.pem") != 0:
        pytest.skip("this openssl has no Ed25519")
    assert openssl("pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem") == 0
    made = signing_key(tmp_path / "key.pem", {})
    assert made is not None
    signature = made.sign("evidence")
    assert is_valid("evidence", signature, tmp_path / "pub.pem")
    (tmp_path / "text").write_text("evidence")
    (tmp_path / "sig").write_bytes(base64.b64decode(signature))
    check = ["pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin", "-in", "text"]
    assert openssl(*check, "-sigfile", "sig") == 0
