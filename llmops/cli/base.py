"""``llmops base``: add and list base models."""

from __future__ import annotations

import click

from llmops.cli.options import columns, emit, output_option


@click.group("base")
def command() -> None:
    """Add and list base models."""


@command.command("add", short_help="Register a base model.")
@click.argument("source")
@click.option("--name", help="Name of the registered model. Default: the name of SOURCE.")
@click.option("--revision", help="Branch, tag or commit of a hub id. Default: the newest commit.")
@output_option
def add(source: str, name: str | None, revision: str | None, output: str) -> None:
    """Register SOURCE as a base model.

    SOURCE is the name of an embedded base model, a directory with safetensors, or a hub id.

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


@command.command("ls", short_help="List the registered base models.")
@click.option("--verify", is_flag=True, help="Check the digest of every file on this machine.")
@output_option
def ls(verify: bool, output: str) -> None:
    """List the registered base models and the folders of those on this machine."""
    from llmops.models import bases, versions
    from llmops.store import connection, registry

    connection.connect(create=False)
    registered = [
        (version.name, version.version, versions.digest_of_base(version))
        for version in registry.tagged_bases()
    ]
    folders = {digest: bases.cache_dir(digest) for _, _, digest in registered}
    folders = {digest: folder for digest, folder in folders.items() if folder.is_dir()}
    for digest, folder in folders.items() if verify else ():
        bases.verify(folder, digest, every_byte=True)
    rows = [
        (name, str(number), digest[:12], str(folders.get(digest, "not on this machine")))
        for name, number, digest in registered
    ]
    record = {
        "verified": verify,
        "bases": [
            {
                "name": name,
                "version": number,
                "digest": digest,
                "cached": digest in folders,
                "directory": str(folders[digest]) if digest in folders else None,
            }
            for name, number, digest in registered
        ],
    }
    if output == "table" and not rows:
        click.echo("No base model is registered.\n  Next: llmops base add smollm2-135m-instruct")
        return
    table = columns([("name", "version", "digest", "files"), *rows]) if rows else ""
    note = "\nVerified: all files on this machine have the recorded digests." if verify else ""
    emit(output, table + note, record)
