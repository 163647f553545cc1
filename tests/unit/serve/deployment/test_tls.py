from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import certificates
import pytest
from certificates import Certificate

from llmops.errors import UsageError
from llmops.serve.deployment import tls


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    return certificates.make(tmp_path, "own")


def test_files_become_absolute(
    own: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tls.check("own.pem", "own.key") == own
    assert tls.check(None, None) == (None, None)


def test_what_is_wrong_with_them_is_said(own: Certificate, tmp_path: Path) -> None:
    other = certificates.make(tmp_path, "other")
    secret = certificates.make(tmp_path, "secret", password="four")
    text = tmp_path / "text.pem"
    text.write_text("no certificate\n")
    for given, says in (
        ((own.certificate, None), "tls_cert: given without tls_key"),
        ((None, own.key), "tls_key: given without tls_cert"),
        ((own.certificate, other.key), "the private key belongs to another certificate"),
        ((own.certificate, "/no/such"), "tls_key '/no/such': cannot be read: No such file"),
        ((str(tmp_path), own.key), "Is a directory"),
        (("a\0b", own.key), "cannot be read"),
        ((str(text), own.key), "not a PEM certificate and its private key"),
        ((own.certificate, str(text)), "not a PEM certificate and its private key"),
        ((own.key, own.certificate), "not a PEM certificate and its private key"),
        (secret, "the private key has a password"),
    ):
        with pytest.raises(UsageError, match=says):
            tls.check(*given)


def reached(server: Certificate, trusted: str) -> str:
    """What a client reads that trusts one certificate, from a server with another or the same."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as encrypted:
                    encrypted.sendall(b"hello")
            except ssl.SSLError:
                pass

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with (
                socket.create_connection(listening.getsockname()) as plain,
                tls.trusting(trusted).wrap_socket(plain) as encrypted,
            ):
                return encrypted.recv(5).decode()
        finally:
            thread.join()


def test_a_client_trusts_this_certificate_and_no_other(own: Certificate, tmp_path: Path) -> None:
    assert reached(own, own.certificate) == "hello", "though its name is another machine's"
    other = certificates.make(tmp_path, "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        reached(other, own.certificate)
    # the certificates behind the first one, those of the issuers, prove nothing by themselves
    both = tmp_path / "chain.pem"
    both.write_text(Path(own.certificate).read_text() + Path(other.certificate).read_text())
    assert reached(own, str(both)) == "hello"
    with pytest.raises(ssl.SSLCertVerificationError):
        reached(other, str(both))
