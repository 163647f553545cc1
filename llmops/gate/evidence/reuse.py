"""A question that was decided before is not asked again: its decision is returned, and nothing spent."""

from __future__ import annotations

from llmops.errors import IntegrityError, LlmopsError, StoreError
from llmops.files import digest
from llmops.gate.evidence.freeze import Case
from llmops.gate.evidence.record import OF_A_VERDICT, show_on_version
from llmops.gate.evidence.signature import SigningKey
from llmops.models.proof.evidence import of_run
from llmops.models.proof.schema import EvidenceRecord
from llmops.records import Decision
from llmops.store import artifacts, lines, registry, runs, tags


def decided(case: Case) -> Decision | None:
    """Return the newest decision on a question; ``None`` if there is none.

    Args:
        case: What is to be decided.

    Raises:
        LlmopsError: Its evidence was changed, or is damaged; ``--fresh`` asks again.
        StoreError: The store refuses or does not answer.
    """
    found = [
        push for push in lines.of_question(case.question) if push.evidence and not push.deleted
    ]
    if not found:
        return None
    try:
        recorded = of_run(found[-1].run_id, case.candidate.uri)
    except StoreError:
        raise
    except LlmopsError as error:
        raise type(error)(
            f"{error.message}; it decided the same question before",
            next_command="rerun with --fresh: the question is asked again, as the next push of its line",
        ) from error
    return _decision(recorded.content, dict(recorded.record))


def bear(case: Case, decision: Decision, key: SigningKey | None = None) -> None:
    """Make a version bear a decision on its bytes that was recorded before.

    The version may be a new one with the same bytes, or have lost its tags since.

    Args:
        case: The question.
        decision: From ``decided``.
        key: Signs the evidence if it has no signature yet; ``None`` for no signature.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    run_id = run_of(decision)
    if key is not None and tags.SIGNATURE_FILE not in artifacts.files_in(run_id, "report"):
        text = digest.canonical(decision.evidence)
        artifacts.write_text(run_id, key.sign(text), tags.SIGNATURE_FILE)
    name, version = registry.parse(case.candidate.uri)
    short = decision.evidence_digest[:12]
    if registry.version_tag(name, version, tags.EVIDENCE) == short:
        return
    run = runs.find_run(run_id)
    noted = {} if run is None else run.data.tags
    shown = {tag: noted[tag] for tag in (tags.VERDICT, tags.DELTA, tags.VERSUS) if tag in noted}
    registry.remove_version_tags(name, version, OF_A_VERDICT)
    card = noted.get(tags.NOTE, decision.sentence)
    named = {tags.VERDICT: str(decision.verdict), **shown, tags.EVIDENCE: short}
    show_on_version(name, version, case.candidate.model_id, card, named)


def run_of(decision: Decision) -> str:
    """Return the MLflow run that holds a decision's evidence."""
    return str(decision.evidence["run_id"])


def experiment_of(decision: Decision) -> str:
    """Return the experiment of that run, the empty text if the run is gone."""
    run = runs.find_run(run_of(decision))
    return "" if run is None else str(run.info.experiment_id)


def shown(decision: Decision) -> str:
    """Return the table of a decision that was recorded before; its sentence if there is no table.

    Raises:
        StoreError: The store does not answer.
    """
    return _text(decision, tags.TABLE_FILE).rstrip("\n") or decision.sentence


def summary(decision: Decision) -> str:
    """Return the Markdown summary of a decision that was recorded before; its sentence without one.

    Raises:
        StoreError: The store does not answer.
    """
    return _text(decision, tags.SUMMARY_FILE) or decision.sentence


def report(decision: Decision) -> str:
    """Return the HTML report of a decision that was recorded before.

    Raises:
        StoreError: It is absent, or the store does not answer.
    """
    return artifacts.read_text(run_of(decision), tags.REPORT_FILE)


def result(decision: Decision) -> dict[str, object]:
    """Return the JSON of the comparison on which a decision was made before; empty if it is damaged.

    Raises:
        StoreError: It is absent, or the store does not answer.
    """
    try:
        return artifacts.read_json(run_of(decision), tags.RESULT_FILE)
    except IntegrityError:
        return {}


def _decision(evidence: EvidenceRecord, record: dict[str, object]) -> Decision:
    return Decision(
        verdict=evidence.verdict,
        passed=evidence.passed,
        checks=evidence.checks,
        sentence=evidence.sentence,
        evidence=record,
        evidence_digest=str(evidence.sha256),
        budget=evidence.budget,
        reused=True,
    )


def _text(decision: Decision, path: str) -> str:
    """Return a text that the run of a decision keeps, empty if it keeps none."""
    folder = path.rpartition("/")[0]
    if path not in artifacts.files_in(run_of(decision), folder):
        return ""
    return artifacts.read_text(run_of(decision), path)
