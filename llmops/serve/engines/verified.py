"""Check the files of a version once more before an engine reads them.

They were checked when the version was resolved. A restart reads them again without the registry,
maybe days later.
"""

from __future__ import annotations

from llmops.errors import NotFoundError
from llmops.models import adapters, bases
from llmops.records import ModelFiles


def check(files: ModelFiles) -> None:
    """Check that a version's files have the recorded digests.

    Raises:
        NotFoundError: Base or adapter was deleted.
        IntegrityError: Bytes differ, or a link leads out of the directory.
    """
    base = files.base
    if base.directory == bases.cache_dir(base.digest) and base.directory.is_dir():
        bases.verify(base.directory, base.digest)
    else:
        bases.at(base.directory, base.digest)
    if files.adapter_dir is not None and files.adapter_digest is not None:
        if not files.adapter_dir.is_dir():
            raise NotFoundError(f"{files.uri}: {files.adapter_dir} was deleted")
        adapters.verify(files.adapter_dir.parent, files.adapter_digest, files.uri)
