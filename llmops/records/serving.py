"""What a deployment serves: a version under its immutable name, with the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass

from llmops.records.models import ModelFiles


@dataclass(frozen=True)
class Proof:
    """Evidence about exactly the bytes of a version, which passed its gate.

    Attributes:
        digest: SHA-256 of the evidence.
        verdict: Such as ``IMPROVED``.
        run_id: MLflow run of the comparison.
    """

    digest: str
    verdict: str
    run_id: str


@dataclass(frozen=True)
class Served:
    """A version as engines and answers name it.

    Attributes:
        name: ``NAME@vVERSION``. A name stands for the same bytes for ever.
        files: The verified files of the version.
        proof: The evidence for it; ``None`` if it is served without.
    """

    name: str
    files: ModelFiles
    proof: Proof | None


def served_name(uri: str) -> str:
    """Return the name by which engines and answers know a version, such as ``bot@v7``.

    Args:
        uri: ``models:/NAME/VERSION``.
    """
    name, _, version = uri.removeprefix("models:/").rpartition("/")
    return f"{name}@v{version}"
