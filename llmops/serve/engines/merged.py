"""A version merged into its base: one full model, served without the cost of an adapter."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from llmops.errors import IntegrityError, LlmopsError
from llmops.files import digest, home
from llmops.files.staging import staging
from llmops.models import bases
from llmops.progress import say
from llmops.records import BaseModel, ModelFiles


def merge(files: ModelFiles, dtype: str) -> ModelFiles:
    """Return a version as a full model without an adapter; merge it if no earlier start did.

    Another process merges, as it needs torch. The result lies in the cache of bases, and is checked
    each time.

    Args:
        files: A version; a full model is returned as it is.
        dtype: Dtype of the merged weights.

    Raises:
        LlmopsError: The version cannot be merged.
    """
    if files.adapter_dir is None:
        return files
    record = home.folder("verified") / f"merged-{files.digest}-{dtype}.json"
    merged = _known(record)
    if merged is None:
        merged = _merge(files.uri, dtype)
        home.write_whole(record, json.dumps({"merged": merged}))
    base = BaseModel(files.base.name, files.uri, merged, bases.cache_dir(merged))
    return dataclasses.replace(
        files, base=base, adapter_dir=None, adapter_digest=None, tokenizer_dir=None
    )


def _known(record: Path) -> str | None:
    """Return the digest of an earlier merge, ``None`` if its files are gone or damaged."""
    with suppress(OSError, ValueError, LookupError, TypeError, IntegrityError):
        merged = str(json.loads(record.read_text(encoding="utf-8"))["merged"])
        if bases.cache_dir(merged).is_dir():
            bases.verify(bases.cache_dir(merged), merged)
            return merged
    return None


def _merge(uri: str, dtype: str) -> str:
    """Merge a version by ``llmops export``; return the digest of the full model in the cache."""
    say(f"{uri}: merging the adapter into its base")
    with staging() as folder:
        target = folder / "merged"
        options = ["--format", "merged", "--dtype", dtype]
        command = [sys.executable, "-m", "llmops", "export", uri, str(target), *options]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise LlmopsError(
                f"{uri}: cannot be merged: {(done.stderr.strip() or 'no reason given')[-2000:]}",
                next_command=f"llmops export {uri} DIRECTORY --format merged --dtype {dtype}",
            )
        for extra in set(target.iterdir()) - set(digest.model_files(target)):
            say(f"warning: {uri}: {extra.name} is not served")
        return bases.keep(target, origin=None)[0]
