"""``llmops base``: base models, added once."""

from __future__ import annotations

import click

from llmops.cli.options import columns, emit, output_option


@click.group("base")
def command() -> None:
    """Add and list base models."""


@command.command("add")
@click.argument("source")
@click.option("--name", help="Registered model name; by default that of the source.")
@click.option("--revision", help="Branch, tag or commit of a hub id; by default the newest.")
@output_option
def add(source: str, name: str | None, revision: str | None, output: str) -> None:
    """Register SOURCE: an embedded base, a directory with safetensors, or a hub id.

    Example: llmops base add smollm2-135m-instruct
    """
    from llmops.flavor import add_base
    from llmops.records.names import check_model_name
    from llmops.store import connection

    if name is not None:
        check_model_name(name)
    connection.connect()
    base = add_base(source, name, revision=revision)
    emit(
        output,
        f"{base.name}: {base.uri}, digest {base.digest[:12]}\nFiles: {base.directory}",
        {
            "name": base.name,
            "uri": base.uri,
            "digest": base.digest,
            "origin": base.origin,
            "directory": str(base.directory),
        },
    )


@command.command("ls")
@click.option("--verify", is_flag=True, help="Read every byte of those on this machine.")
@output_option
def ls(verify: bool, output: str) -> None:
    """List the registered base models, and whether their files are on this machine."""
    from llmops.models import bases
    from llmops.store import connection, registry, tags

    connection.connect()
    found = [
        (version.name, version.version, version.tags[tags.BASE_DIGEST])
        for version in registry.list_bases()
    ]
    here = {digest: bases.cache_dir(digest) for _, _, digest in found}
    here = {digest: folder for digest, folder in here.items() if folder.is_dir()}
    for digest, folder in here.items() if verify else ():
        bases.verify(folder, digest, every_byte=True)
    rows = [
        (name, str(number), digest[:12], str(here.get(digest, "not on this machine")))
        for name, number, digest in found
    ]
    record = {
        "verified": verify,
        "bases": [
            {
                "name": name,
                "version": number,
                "digest": digest,
                "cached": digest in here,
                "directory": str(here[digest]) if digest in here else None,
            }
            for name, number, digest in found
        ],
    }
    if output == "table" and not rows:
        click.echo("No base model is registered.\n  Next: llmops base add smollm2-135m-instruct")
        return
    table = columns([("name", "version", "digest", "files"), *rows]) if rows else ""
    said = "\nEvery byte of the files on this machine was read." if verify else ""
    emit(output, table + said, record)
