"""A decision as JUnit XML: one test case for each requirement.

The format is what Jenkins' schema (``junit-10.xsd``) describes, which GitHub's actions and GitLab read.
A requirement that does not hold is a failure of the type ``rejected``, one that is undecided a failure of
the type ``inconclusive``, or skipped where the policy lets it pass. A command that fails is an error.
"""

from __future__ import annotations

from xml.etree import ElementTree

from llmops.records import Check, Comparison, Decision
from llmops.report import wording
from llmops.report.ci.steps import next_step, reason
from llmops.report.wording import clean, visible

LONGEST = 4_000
"""Characters of a text inside the file."""
SUITE = "llmops gate"


def junit(decision: Decision, uri: str, comparison: Comparison | None = None) -> str:
    """Return a decision as JUnit XML.

    Args:
        decision: Decision of the gate.
        uri: The version that was judged.
        comparison: Result of the comparison, for figures and time; ``None`` if it is not at hand.

    Example:
        from pathlib import Path

        from llmops.report.ci import junit

        Path("gate.xml").write_text(junit(decision, "models:/bot/3", comparison), encoding="utf-8")
    """
    outcomes = [_outcome(check, decision) for check in decision.checks]
    seconds = comparison.seconds if comparison else 0.0
    root, suite = _suite(
        tests=len(outcomes),
        failures=sum(kind in ("rejected", "inconclusive") for kind in outcomes),
        skipped=outcomes.count("skipped"),
        seconds=seconds,
    )
    properties = ElementTree.SubElement(suite, "properties")
    facts = {
        "candidate": uri,
        "status": wording.status(decision),
        "verdict": str(decision.verdict),
        "evidence": decision.evidence_digest,
        "next": str(next_step(decision, uri)),
    }
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=clean(value, LONGEST))
    for check, kind in zip(decision.checks, outcomes, strict=True):
        _case(suite, check, kind, decision, uri, comparison)
    return _written(root)


def no_verdict_junit(message: str, kind: str) -> str:
    """Return JUnit XML that says that no verdict was reached: one case with an error.

    Args:
        message: Why, such as the message of the error.
        kind: Type of the error, such as ``StoreError``.
    """
    root, suite = _suite(tests=1, errors=1)
    case = ElementTree.SubElement(suite, "testcase", name="verdict", classname=SUITE, time="0")
    error = ElementTree.SubElement(
        case,
        "error",
        type=clean(kind, 80),
        message=f"no verdict was reached: {clean(message, 400)}",
    )
    error.text = visible(message[:LONGEST])
    return _written(root)


def _suite(
    *, tests: int, failures: int = 0, errors: int = 0, skipped: int = 0, seconds: float = 0.0
) -> tuple[ElementTree.Element, ElementTree.Element]:
    """Return the root of a file, and its only suite."""
    counts = {"tests": tests, "failures": failures, "errors": errors}
    shown = {name: str(count) for name, count in counts.items()} | {"time": f"{seconds:.3f}"}
    root = ElementTree.Element("testsuites", {"name": SUITE, **shown})
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": SUITE, **shown, "skipped": str(skipped)}
    )
    return root, suite


def _outcome(check: Check, decision: Decision) -> str:
    if check.passed is None:
        return "skipped" if decision.passed else "inconclusive"
    return "passed" if check.passed else "rejected"


def _case(
    suite: ElementTree.Element,
    check: Check,
    kind: str,
    decision: Decision,
    uri: str,
    comparison: Comparison | None,
) -> None:
    name, group = clean(wording.demand(check), 200), clean(uri, 200)
    case = ElementTree.SubElement(suite, "testcase", name=name, classname=group, time="0")
    text = visible(reason(check, comparison)[:LONGEST])
    if kind == "skipped":
        ElementTree.SubElement(case, "skipped", message=clean(text, 400))
    elif kind != "passed":
        failure = ElementTree.SubElement(case, "failure", type=kind, message=clean(text, 400))
        failure.text = f"{text}\n{visible(decision.sentence[:LONGEST])}"
    else:
        ElementTree.SubElement(case, "system-out").text = text


def _written(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'
