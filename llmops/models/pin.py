"""The pin of a version, ``base.json``: the digests of the bytes that it is made of.

It holds no path of any machine. ``digest`` decides; names and origin only help to find the bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from llmops.errors import IntegrityError
from llmops.files import digest

FILE = "base.json"
FLAVOR = "llmops"
SCHEMA_VERSION = 1
DIGEST = re.compile(r"[0-9a-f]{64}")
SOURCE = re.compile(r"models:/[^/\\]+/[0-9]+")
ORIGIN = re.compile(r"(hub:[\w.-]+/[\w.-]+@[0-9a-f]{7,64}|package:[\w.-]+|directory:[^/\\]+)")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """The content of ``base.json``.

    Attributes:
        base: Name of the base model, or of the full model itself.
        digest: Digest of the base's (or full model's) configuration, weights and tokenizer.
        source: The base in the registry that logged the version: ``models:/name/version``.
        origin: See ``records.BaseModel``; of a directory only its name is kept.
        adapter_digest: Digest of what the version adds; ``None`` for a base or a full model.
    """

    base: str
    digest: str
    source: str | None = None
    origin: str | None = None
    adapter_digest: str | None = None

    def text(self) -> str:
        """Return the text of the file."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({"schema_version": SCHEMA_VERSION, **fields}, indent=2) + "\n"

    def flavor_conf(self) -> dict[str, str]:
        """Return the entries that ``MLmodel`` repeats, so that neither file can change alone."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return {**fields, "pin_digest": digest.of_bytes(self.text().encode())}


def origin_of_directory(directory: Path) -> str | None:
    """Return the origin that a pin records for a directory, ``None`` if its name is not plain."""
    origin = f"directory:{directory.resolve().name}"
    return origin if ORIGIN.fullmatch(origin) else None


def parse(text: bytes, where: str) -> Pin:
    """Read a pin.

    Args:
        text: The file's bytes.
        where: Name of the model in an error.

    Raises:
        IntegrityError: The pin is damaged, written by a later llmops, or holds an unsafe reference.
    """
    try:
        fields = dict(json.loads(text))
        version = fields.pop("schema_version")
        pin = Pin(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{where}: damaged {FILE}: {error}") from error
    if version != SCHEMA_VERSION:
        raise IntegrityError(
            f"{where}: {FILE} has schema_version {version!r}; this llmops reads {SCHEMA_VERSION}",
            next_command="pip install --upgrade mlflow-llmops",
        )
    _check(pin, where)
    return pin


def read(model_dir: Path) -> Pin:
    """Read the pin of a model's directory, and check it against ``MLmodel``.

    Raises:
        IntegrityError: See ``confirmed``.
    """
    return confirmed(model_dir / FILE, model_dir / "MLmodel", str(model_dir))


def model_id(model_dir: Path) -> str | None:
    """Return the id of the logged model that a directory is a copy of, ``None`` if it was only saved."""
    import yaml

    conf = yaml.safe_load((model_dir / "MLmodel").read_text(encoding="utf-8"))
    return conf.get("model_id") or None


def confirmed(file: Path, mlmodel: Path, where: str) -> Pin:
    """Read a pin, and check its bytes against the digest in ``MLmodel``.

    Args:
        file: ``base.json``.
        mlmodel: The ``MLmodel`` file.
        where: Name of the model in an error.

    Raises:
        IntegrityError: See ``parse``; or ``base.json`` is missing, or ``MLmodel`` has another digest.
    """
    import yaml

    if not file.is_file():
        raise IntegrityError(f"{where}: no {FILE}, so llmops did not log this model")
    data = file.read_bytes()
    pin = parse(data, where)
    try:
        conf = yaml.safe_load(mlmodel.read_text(encoding="utf-8"))["flavors"][FLAVOR]
        expected = conf["pin_digest"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise IntegrityError(
            f"{where}: MLmodel does not confirm {FILE}: {type(error).__name__}: {error}"
        ) from error
    actual = digest.of_bytes(data)
    if actual != expected:
        raise IntegrityError(
            f"{where}: {FILE} has the digest {actual[:16]}…, MLmodel recorded {str(expected)[:16]}…"
        )
    return pin


def _check(pin: Pin, where: str) -> None:
    digests = (pin.digest, *([pin.adapter_digest] if pin.adapter_digest is not None else []))
    for value in digests:
        if not DIGEST.fullmatch(str(value)):
            raise IntegrityError(f"{where}: {FILE}: {value!r} is not a SHA-256 digest")
    for field, pattern, allowed in (
        ("source", SOURCE, "models:/NAME/VERSION"),
        ("origin", ORIGIN, "hub:OWNER/NAME@REVISION, package:NAME or directory:NAME"),
    ):
        value = getattr(pin, field)
        if value is None:
            continue
        unsafe = ".." in PurePosixPath(str(value).replace(":", "/")).parts
        if unsafe or not pattern.fullmatch(str(value)):
            raise IntegrityError(f"{where}: {FILE}: {field} is {value!r}; allowed: {allowed}")
