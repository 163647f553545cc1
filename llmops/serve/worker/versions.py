"""The versions that a worker answers for, by their names."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from llmops.engine.local.continuous import ContinuousBatch
from llmops.errors import UsageError
from llmops.models import adapters, safety
from llmops.models.resolve import of_base
from llmops.records import ModelFiles
from llmops.serve.engines import verified


class Versions:
    """The loaded versions of one base, and the base itself under its digest.

    A name stands for the same bytes for as long as the worker runs.

    Args:
        batch: Generates; it has loaded the first version, and the base unless that changes it.
        name: Name of the first version.
        first: The first version.
    """

    def __init__(self, batch: ContinuousBatch, name: str, first: ModelFiles) -> None:
        self._batch, self._base = batch, first.base
        self._names = {name: first}
        if not changes_base(first):
            self._names[first.base.digest] = of_base(first.base)
        self._known = {name: first.digest}
        self._lock = threading.Lock()
        """Held while a version is loaded or unloaded."""

    @property
    def names(self) -> Mapping[str, ModelFiles]:
        """The versions that answer now."""
        return self._names

    def load(self, name: str, files: ModelFiles) -> None:
        """Load another version.

        Raises:
            UsageError: Other bytes had this name before, or the version has another base.
            IntegrityError: The bytes do not have the recorded digests.
            LlmopsError: The engine cannot load the version.
        """
        with self._lock:
            if self._known.get(name, files.digest) != files.digest:
                raise UsageError(
                    f"{name}: this name already stands for other bytes"
                    f" ({self._known[name][:16]}…, not {files.digest[:16]}…)"
                )
            if name == self._base.digest or files.base.digest != self._base.digest:
                raise UsageError(
                    f"{name}: its base is {files.base.digest[:16]}…, and this process serves"
                    f" {self._base.digest[:16]}…; another base needs another process"
                )
            if name in self._names:
                return
            verified.check(files)
            self._batch.load(files)
            self._known[name] = files.digest
            self._names = {**self._names, name: files}

    def unload(self, name: str) -> None:
        """Forget a version; answers in progress are finished.

        Raises:
            UsageError: No version has this name.
        """
        with self._lock:
            if name not in self._names or name == self._base.digest:
                raise UsageError(f"{name}: not loaded; loaded: {', '.join(self._names)}")
            files = self._names[name]
            self._names = {key: one for key, one in self._names.items() if key != name}
            if all(one.digest != files.digest for one in self._names.values()):
                self._batch.unload(files)


def changes_base(files: ModelFiles) -> bool:
    """Return whether an adapter changes the weights of its base, which then cannot answer itself."""
    if files.adapter_dir is None:
        return False
    return adapters.reason_alone(safety.read_json(files.adapter_dir / adapters.CONFIG)) is not None
