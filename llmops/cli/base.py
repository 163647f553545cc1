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
    from llmops import store
    from llmops.config import check_model_name
    from llmops.flavor import add_base

    if name is not None:
        check_model_name(name)
    store.connect()
    base = add_base(source, name, revision=revision)
    emit(
        output,
        f"{base.name}: {base.uri}, digest {base.digest[:12]}",
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
    from llmops import bases, registry, store

    store.connect()
    found = [
        (version.name, version.version, version.tags[registry.BASE_DIGEST])
        for version in registry.list_bases()
    ]
    cached = {digest for _, _, digest in found if bases.cache_dir(digest).is_dir()}
    for digest in cached if verify else ():
        bases.verify(bases.cache_dir(digest), digest, every_byte=True)
    yes = "yes, every byte" if verify else "yes"
    rows = [
        (name, str(number), digest[:12], yes if digest in cached else "no")
        for name, number, digest in found
    ]
    record = {
        "bases": [
            {"name": name, "version": number, "digest": digest, "cached": digest in cached}
            for name, number, digest in found
        ]
    }
    if output == "table" and not rows:
        click.echo("No base model is registered.\n  Next: llmops base add smollm2-135m-instruct")
        return
    emit(output, columns([("name", "version", "digest", "cached"), *rows]) if rows else "", record)
