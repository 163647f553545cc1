"""``llmops doctor``: check this machine, and print the next command for what is missing."""

from __future__ import annotations

from typing import NamedTuple

import click

from llmops.cli.options import columns, emit, output_option
from llmops.errors import LlmopsError, masked

BYTES_PER_GIB = 2**30
DISK_GIB = 5
"""A base, its registered copy, checkpoints and reports of the quickstart need about 2 GiB."""


class Finding(NamedTuple):
    """One line of the result: what was checked, whether it is in order, details, the next command.

    ``next`` is empty if there is nothing to fix, or if no command fixes it.
    """

    what: str
    ok: bool
    detail: str
    next: str = ""


@click.command("doctor")
@output_option
def command(output: str) -> int:
    """Check hardware, packages, store, base models, promotions, deployments and leftovers.

    Exit code 0 if everything is there, 1 if something is missing.
    """
    findings = [
        *(*_machine(), *_packages(), *_store_and_bases(), *_promotions()),
        *(*_deployments(), *_leftovers()),
    ]
    rows = [(f"{'ok' if f.ok else 'missing':8}", f.what, f.detail) for f in findings]
    fixes = [f"  Next: {finding.next}" for finding in findings if finding.next]
    emit(output, "\n".join([columns(rows), *fixes]), {"findings": [f._asdict() for f in findings]})
    return 0 if all(finding.ok for finding in findings) else 1


def _machine() -> list[Finding]:
    import os
    import shutil

    import psutil

    from llmops.files import home

    root = home.home()
    existing = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(existing).free / BYTES_PER_GIB
    memory = psutil.virtual_memory().total / BYTES_PER_GIB
    return [
        Finding("machine", True, f"{os.cpu_count()} cores, {memory:.0f} GiB memory"),
        _gpu(),
        Finding(
            "LLMOPS_HOME",
            free >= DISK_GIB,
            f"{root}, {free:.0f} GiB free",
            "" if free >= DISK_GIB else "export LLMOPS_HOME=FOLDER_ON_A_LARGER_DISK",
        ),
    ]


def _gpu() -> Finding:
    """Report the GPU; a machine without one is in order too."""
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding("GPU", True, f"{names}; torch {torch.__version__}")
    return Finding("GPU", True, f"none; torch {torch.__version__} uses the CPU")


def _packages() -> list[Finding]:
    from importlib.metadata import PackageNotFoundError, entry_points, version

    versions = []
    for package in ("mlflow", "transformers", "trl", "peft"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} absent")
    plugged = any(point.name == "llmops" for point in entry_points(group="mlflow.deployments"))
    hint = "" if plugged else "pip install mlflow-llmops (it contains the MLflow plugins)"
    return [
        Finding("packages", not any("absent" in v for v in versions), ", ".join(versions)),
        Finding("MLflow plugin", plugged, "mlflow deployments -t llmops", hint),
        Finding("engines", True, "local (transformers + PEFT)"),
    ]


def _store_and_bases() -> list[Finding]:
    from llmops.models.versions import digest_of_base
    from llmops.store import connection, registry

    try:
        uri = connection.connect()
        bases = registry.tagged_bases()
        for version in bases:
            digest_of_base(version)
    except LlmopsError as error:
        return [Finding("MLflow store", False, error.message, error.next_command or "")]
    names = ", ".join(sorted({version.name for version in bases}))
    return [
        Finding("MLflow store", True, masked(uri)),
        Finding(
            "base models",
            bool(bases),
            names or "none registered",
            "" if bases else "llmops base add smollm2-135m-instruct",
        ),
    ]


def _promotions() -> list[Finding]:
    """Report promotions and rollbacks that a killed process left half done."""
    from llmops.gate.promotion.audit import half_done

    try:
        found = half_done()
    except LlmopsError as error:
        return [Finding("promotions", False, error.message, error.next_command or "")]
    return [
        Finding("promotions", False, f"{one.name}@{one.alias}: {one.problem}", one.next_command)
        for one in found
    ] or [Finding("promotions", True, "none half done")]


def _deployments() -> list[Finding]:
    from llmops.serve import list_all, status

    try:
        states = [f"{deployment.name} ({status(deployment)})" for deployment in list_all()]
    except LlmopsError as error:  # their state is damaged
        return [Finding("deployments", False, error.message, error.next_command or "")]
    return [Finding("deployments", True, ", ".join(states) or "none")]


def _leftovers() -> list[Finding]:
    """Report what killed processes left; nothing is missing because of it."""
    from llmops.models import inventory

    left = [inventory.described(leftover) for leftover in inventory.garbage()]
    detail = f"of killed processes: {'; '.join(left)}" if left else "none"
    return [Finding("leftovers", True, detail, "llmops cache gc" if left else "")]
