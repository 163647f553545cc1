"""Self-signed certificates, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """PEM files of a certificate and its private key."""

    certificate: str
    key: str


def make(folder: Path, name: str, *, password: str | None = None) -> Certificate:
    """Makes a certificate for a name that is not this machine's."""
    files = Certificate(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    secret = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    subject = ["-days", "2", "-subj", f"/CN={name}.example.org"]
    out = ["-out", files.certificate, "-keyout", files.key]
    command = ["openssl", "req", "-x509", *curve, *secret, *subject, *out]
    subprocess.run(command, check=True, capture_output=True)
    return files
