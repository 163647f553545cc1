from __future__ import annotations

import pytest

from llmops.errors import LlmopsError, StoreError, UsageError
from llmops.records import ModelFiles, ModelVersion
from llmops.records.serving import Proof
from llmops.serve.gateway.versions.fetch import fetcher

PROOF = Proof("e" * 64, "IMPROVED", "run")


def proven(files: ModelFiles) -> Proof:
    return PROOF


def unproven(files: ModelFiles) -> Proof:
    raise UsageError(f"{files.uri}: has no evidence")


def no_store(files: ModelFiles) -> Proof:
    raise StoreError("the store does not answer")


def test_a_version_comes_with_its_name_its_files_and_its_proof(version: ModelVersion) -> None:
    served = fetcher(proven, allow_unproven=False)(version.uri)
    assert served.name == f"{version.name}@v{version.version}"
    assert served.files.digest == version.digest
    assert served.proof == PROOF


def test_a_version_without_proof_needs_permission(version: ModelVersion) -> None:
    with pytest.raises(UsageError, match="no evidence"):
        fetcher(unproven, allow_unproven=False)(version.uri)
    assert fetcher(unproven, allow_unproven=True)(version.uri).proof is None


def test_a_store_that_does_not_answer_is_no_lack_of_proof(version: ModelVersion) -> None:
    with pytest.raises(StoreError):
        fetcher(no_store, allow_unproven=True)(version.uri)


def test_what_is_no_registered_version_is_refused(version: ModelVersion) -> None:
    with pytest.raises(LlmopsError, match="not a registered version"):
        fetcher(proven, allow_unproven=True)(f"models:/{version.model_id}")
