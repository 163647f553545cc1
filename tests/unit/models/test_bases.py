from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from trained import other_base

import llmops
from llmops.cli.main import cli
from llmops.errors import IntegrityError, NotFoundError
from llmops.files import digest, home, staging
from llmops.models import bases, versions
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, registry, tags

ROOT = Path(llmops.__file__).parents[1]


@pytest.fixture
def staged(tiny_model: Path) -> Iterator[Path]:
    with staging.staging() as folder:
        shutil.copytree(tiny_model, folder / "model")
        yield folder / "model"


def leftovers() -> list[str]:
    return sorted(path.name for path in home.folder("staging").iterdir() if path.is_dir())


def test_a_kept_model_lies_at_its_digest(staged: Path, tiny_model: Path) -> None:
    found, directory = bases.keep(staged)
    assert found == digest.of_model(tiny_model) == digest.of_model(directory)
    assert directory == home.home() / "models" / found
    assert not staged.exists()  # moved, not copied


def test_a_model_is_in_the_cache_whole_or_not_at_all(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[tuple[set[str], bool]] = []
    rename = Path.rename

    def watch(self: Path, target: Path) -> Path:
        names = {path.name for path in self.iterdir()}
        renamed.append((names, target.exists()))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watch)
    with staging.staging() as folder:
        assert folder.parent.parent == home.home()  # the same disk: a rename is atomic
        shutil.copytree(tiny_model, folder / "model")
        bases.keep(folder / "model")
    ((names, target_was_there),) = renamed
    assert names == {path.name for path in tiny_model.iterdir()} | {".manifest.json"}
    assert not target_was_there


def test_staging_is_removed_also_after_a_failure(tiny_model: Path) -> None:
    with pytest.raises(KeyError), staging.staging() as folder:  # noqa: PT012
        shutil.copytree(tiny_model, folder / "model")
        raise KeyError
    assert leftovers() == []
    assert list(home.folder("models").iterdir()) == []


def test_the_second_keep_reuses_the_first(staged: Path, tiny_model: Path) -> None:
    _, directory = bases.keep(staged)
    before = (directory / "model.safetensors").stat()
    with staging.staging() as folder:
        shutil.copytree(tiny_model, folder / "again")
        assert bases.keep(folder / "again")[1] == directory
    after = (directory / "model.safetensors").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert leftovers() == [staged.parent.name]


KEEP = """
import shutil, sys, time
from pathlib import Path
from llmops.files import staging
from llmops.models import bases
source, ready, go = map(Path, sys.argv[1:])
with staging.staging() as folder:
    shutil.copytree(source, folder / "model")
    ready.touch()
    while not go.exists():
        time.sleep(0.001)
    print(bases.keep(folder / "model")[1])
"""


def test_two_processes_that_keep_one_model_leave_one_whole_folder(
    tiny_model: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    ready = [tmp_path / f"ready-{i}" for i in range(2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", KEEP, tiny_model, flag, go],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for flag in ready
    ]
    try:
        while not all(flag.exists() for flag in ready):
            assert all(process.poll() is None for process in started), started[0].communicate()
        go.touch()
        printed = [process.communicate(timeout=60) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], printed
    (directory,) = {out.strip() for out, _ in printed}
    assert [path.name for path in home.folder("models").iterdir()] == [Path(directory).name]
    assert digest.of_model(Path(directory)) == Path(directory).name


def test_the_process_that_comes_second_takes_the_first_one_s_folder(
    staged: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other process renames between our look and our rename.
    target = bases.cache_dir(digest.of_model(tiny_model))
    write = bases._write_manifest

    def other_is_faster(directory: Path, origin: str | None) -> None:
        shutil.copytree(tiny_model, target)
        write(directory, origin)

    monkeypatch.setattr(bases, "_write_manifest", other_is_faster)
    assert bases.keep(staged)[1] == target


def flip(path: Path, *, same_time: bool = False) -> None:
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    change = 0 if same_time else 1_000_000
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + change))


def test_a_flipped_byte_is_found(staged: Path) -> None:
    found, directory = bases.keep(staged)
    bases.verify(directory, found)
    flip(directory / "model.safetensors")
    with pytest.raises(IntegrityError, match="the bytes differ") as caught:
        bases.verify(directory, found)
    assert str(directory) in str(caught.value.next_command)
    with pytest.raises(IntegrityError):  # and not forgiven the second time
        bases.verify(directory, found)


@pytest.mark.parametrize("change", ["added", "removed"])
def test_an_added_or_removed_file_is_found(staged: Path, change: str) -> None:
    found, directory = bases.keep(staged)
    if change == "added":
        (directory / "extra.json").write_text("{}")
    else:
        (directory / "tokenizer_config.json").unlink()
    with pytest.raises(IntegrityError):
        bases.verify(directory, found)


def test_unchanged_files_are_not_read_again(staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, directory = bases.keep(staged)
    read: list[Path] = []
    of_model = digest.of_model
    monkeypatch.setattr(digest, "of_model", lambda path: read.append(path) or of_model(path))
    bases.verify(directory, found)
    assert read == []  # 270 MB for the quickstart's base, on every command
    (directory / "config.json").touch()
    bases.verify(directory, found)
    bases.verify(directory, found)
    assert read == [directory]  # touched: read once, and remembered


@pytest.mark.parametrize("content", ["", '{"config.json": [1', None])
def test_a_torn_manifest_costs_a_look_at_the_bytes(staged: Path, content: str | None) -> None:
    # A process killed while it writes the manifest leaves half of it.
    found, directory = bases.keep(staged)
    manifest = directory / ".manifest.json"
    if content is None:
        manifest.unlink()
    else:
        manifest.write_text(content)
    bases.verify(directory, found)
    assert json.loads(manifest.read_text())["files"]["config.json"]
    manifest.write_text(content or "")
    flip(directory / "model.safetensors", same_time=True)
    with pytest.raises(IntegrityError):
        bases.verify(directory, found)


def test_a_cached_base_needs_no_registered_version(staged: Path, store: str) -> None:
    found, directory = bases.keep(staged)
    base = bases.fetch(found)
    assert (base.digest, base.directory) == (found, directory)
    assert base.uri == f"cache:{found}"


def test_a_base_that_is_nowhere(store: str) -> None:
    with pytest.raises(NotFoundError, match=r"neither in .* nor in the registry"):
        bases.fetch("0" * 64)
    assert bases.find("nothing") is None


def test_a_forged_digest_leads_to_no_other_base(base: BaseModel, tmp_path: Path) -> None:
    other = other_base(tmp_path)  # models:/tiny/2
    registry.annotate_version("tiny", "2", {tags.BASE_DIGEST: base.digest})
    with pytest.raises(IntegrityError, match=r"models:/tiny/2: the tag llmops\.base_digest says"):
        bases.find("tiny")
    found = versions.registered_base(base.digest)
    assert found is not None
    assert str(found.version) == "1", "the newer one only says so"
    assert bases.fetch(base.digest).uri == "models:/tiny/1"
    assert versions.registered_base(other.digest) is None
    listed = CliRunner().invoke(cli, ["base", "ls"])
    assert isinstance(listed.exception, IntegrityError)


def test_a_version_that_is_tagged_as_a_base_is_found_by_no_name(version: ModelVersion) -> None:
    for forged in ({tags.KIND: "base"}, {tags.BASE_DIGEST: version.base_digest}):
        registry.annotate_version("bot", "1", forged)
    with pytest.raises(IntegrityError, match=r"models:/bot/1: the tag llmops\.kind says"):
        bases.find("bot")
    found = versions.registered_base(version.base_digest)
    assert found is not None
    assert found.name == "tiny"


def test_a_digest_comes_from_the_pin(base: BaseModel) -> None:
    connection.client().delete_model_version_tag("tiny", "1", tags.BASE_DIGEST)
    (record,) = registry.tagged_bases()
    assert versions.digest_of_base(record) == base.digest
    assert bases.find("tiny") is not None


def test_a_base_is_verified_in_the_store(base: BaseModel) -> None:
    bases.verify_in_store(base.uri, base.digest)
    weights = Path(mlflow.artifacts.download_artifacts(base.uri)) / "model" / "model.safetensors"
    flip(weights)
    with pytest.raises(IntegrityError, match="the bytes differ"):
        bases.verify_in_store(base.uri, base.digest)
    shutil.rmtree(weights.parent)
    with pytest.raises(IntegrityError, match="no model/ in the store"):
        bases.verify_in_store(base.uri, base.digest)
    bases.verify(base.directory, base.digest, every_byte=True)
    assert leftovers() == []
