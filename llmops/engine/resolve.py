"""From what a user names (a version, an alias, a base) to verified files on this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from llmops import bases, digest, home, registry
from llmops.config import MODEL_NAME
from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.records import BaseModel, ModelFiles

ADAPTER_FOLDER = "adapter"
BASE_FILE = registry.PIN


def resolve(uri: str) -> ModelFiles:
    """Resolves a side: ``models:/name/version`` or ``models:/name@alias``, or a base by its name.

    Raises:
        NotFoundError: No such version, or its base is nowhere.
        IntegrityError: The bytes differ from the recorded digests.
    """
    base = bases.find(uri) if MODEL_NAME.fullmatch(uri) else None
    if base is not None:
        return of_base(base)
    name, version = registry.parse(uri)
    base_digest = registry.base_digest_of(name, version)
    if base_digest is not None:
        return of_base(bases.fetch(base_digest))
    return resolve_version(name, version)


def resolve_version(name: str, version: str) -> ModelFiles:
    """Files of one registered version; the adapter is downloaded once and checked."""
    found = registry.get_version(name, version)
    adapter = _adapter(found.uri, found.adapter_digest)
    return ModelFiles(
        label=f"v{version}",
        uri=found.uri,
        base=bases.fetch(found.base_digest),
        adapter_dir=adapter,
        adapter_digest=found.adapter_digest,
        model_id=found.model_id,
        run_id=found.run_id,
    )


def of_base(base: BaseModel) -> ModelFiles:
    """The bare base as a side."""
    return ModelFiles(
        label="base", uri=base.uri, base=base, adapter_dir=None, adapter_digest=None, model_id=None
    )


def of_model_dir(model_dir: Path) -> ModelFiles:
    """Files of a logged model's directory (holds ``base.json`` and ``adapter/``, or ``model/``).

    Raises:
        IntegrityError: Adapter bytes and record differ.
    """
    pin = json.loads((model_dir / BASE_FILE).read_text(encoding="utf-8"))
    if "adapter_digest" not in pin:
        folder = model_dir / bases.MODEL_FOLDER
        bases.verify(folder, pin["digest"])
        base = BaseModel(pin["base"], str(model_dir), pin["digest"], folder)
        return of_base(base)
    adapter = model_dir / ADAPTER_FOLDER
    _check(adapter, pin["adapter_digest"], str(model_dir))
    return ModelFiles(
        label=model_dir.name,
        uri=str(model_dir),
        base=bases.fetch(pin["digest"]),
        adapter_dir=adapter,
        adapter_digest=pin["adapter_digest"],
        model_id=None,
    )


def _adapter(uri: str, adapter_digest: str) -> Path:
    """An adapter in the cache, addressed by its digest like the bases."""
    target = home.folder("adapters") / adapter_digest
    if not target.is_dir():
        with bases.staging() as folder:
            staged = Path(registry.download(uri, str(folder))) / ADAPTER_FOLDER
            if not staged.is_dir():
                raise UsageError(
                    f"{uri}: holds no {ADAPTER_FOLDER}/ folder, so llmops did not log it"
                )
            _check(staged, adapter_digest, uri)
            try:
                staged.rename(target)
            except OSError as error:
                if not target.is_dir():
                    raise NotFoundError(f"{target}: cannot be written ({error})") from error
    _check(target, adapter_digest, uri)
    return target


def _check(adapter: Path, expected: str, uri: str) -> None:
    found = digest.of_model(adapter)
    if found != expected:
        if adapter.is_relative_to(home.home()):
            shutil.rmtree(adapter)  # our copy, not the user's: the next try downloads it anew
        raise IntegrityError(
            f"{uri}: adapter digest {found[:16]}… differs from the recorded {expected[:16]}…"
        )
