"""TLS of a deployment: the files that its gateway uses, and the trust of clients on this machine."""

from __future__ import annotations

import ssl
from pathlib import Path

from llmops.errors import UsageError

END = "-----END CERTIFICATE-----"


def check(certificate: str | None, key: str | None) -> tuple[str | None, str | None]:
    """Check that a certificate and its private key can be used, and return their absolute paths.

    Args:
        certificate: PEM file with the certificate, followed by those of its issuers if it has any.
        key: PEM file with its private key, which has no password.

    Returns:
        Both paths, or twice ``None`` without TLS.

    Raises:
        UsageError: Only one is given, a file cannot be read, or the key belongs to another
            certificate.
    """
    if certificate is None and key is None:
        return None, None
    if certificate is None or key is None:
        given, missing = ("tls_key", "tls_cert") if certificate is None else ("tls_cert", "tls_key")
        raise UsageError(
            f"{given}: given without {missing}; TLS needs the certificate and its private key",
            next_command="give both: -C tls_cert=FILE -C tls_key=FILE",
        )
    paths = _readable("tls_cert", certificate), _readable("tls_key", key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*paths, password=_no_password)
        trusting(paths[0])
    except ssl.SSLError as error:
        raise UsageError(
            f"tls_cert {certificate}, tls_key {key}: {_reason(error)}",
            next_command=f"openssl x509 -noout -pubkey -in {certificate}; openssl pkey -pubout -in {key}"
            "  (both must print the same)",
        ) from error
    return paths


def trusting(certificate: str) -> ssl.SSLContext:
    """Return a client's context that accepts the certificate in a file and no other.

    The name in it need not match: this machine reaches the deployment by its address.

    Args:
        certificate: The PEM file of ``check``.

    Raises:
        OSError: The file cannot be read, or does not hold a certificate.
    """
    own, _, _ = Path(certificate).read_text(encoding="ascii", errors="replace").partition(END)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=own + END + "\n")
    return context


def _readable(option: str, given: str) -> str:
    """Return the absolute path of a file that can be read.

    Raises:
        UsageError: There is none.
    """
    try:
        path = Path(given).expanduser().absolute()
        path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{option} {given!r}: cannot be read: {reason or error}") from error
    return str(path)


def _no_password() -> str:
    """Refuse a key with a password: nobody is there to type it when the gateway restarts."""
    raise UsageError(
        "tls_key: the private key has a password",
        next_command="openssl pkey -in KEY -out KEY_WITHOUT_PASSWORD; chmod 600 KEY_WITHOUT_PASSWORD",
    )


def _reason(error: ssl.SSLError) -> str:
    if "KEY_VALUES_MISMATCH" in str(error):
        return "the private key belongs to another certificate"
    return f"not a PEM certificate and its private key ({error.reason or error})"
