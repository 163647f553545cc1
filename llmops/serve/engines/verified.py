"""Check the files of a version once more before an engine reads them.

They were checked when the version was resolved. A restart reads them again without the registry,
maybe days later.
"""

from __future__ import annotations

from llmops.errors import IntegrityError, NotFoundError
from llmops.models import adapters, bases, safety
from llmops.records import ModelFiles


def check(files: ModelFiles) -> None:
    """Check that a version's files have the recorded digests.

    All bytes of a base are read the first time, and again after a file changed.

    Raises:
        NotFoundError: Base or adapter was deleted.
        IntegrityError: Bytes differ, or a link leads out of a directory.
    """
    base = files.base
    if base.directory == bases.cache_dir(base.digest) and base.directory.is_dir():
        bases.verify(base.directory, base.digest)
    else:
        bases.at(base.directory, base.digest)
    if files.adapter_dir is None:
        return
    for folder in (files.adapter_dir, files.tokenizer_dir):
        if folder is not None and not folder.is_dir():
            raise NotFoundError(f"{files.uri}: {folder} was deleted")
        if folder is not None:
            safety.check_inside(folder)
    actual = adapters.parts_digest(files.adapter_dir, files.tokenizer_dir)
    if actual != files.adapter_digest:
        raise IntegrityError(
            f"{files.uri}: {files.adapter_dir}: expected digest {str(files.adapter_digest)[:16]}…,"
            f" found {actual[:16]}…: the bytes differ"
        )
