"""JUnit XML: what parsers and schemas of CI systems accept, whatever the texts are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from report_records import CHECKS, comparison, decision

from llmops.records import Check, Verdict
from llmops.report.ci.junit import junit, no_verdict_junit

URI = "models:/bot/3"
LOST = Check("token_f1", "not_regress", 0.05, Verdict.REGRESSED, passed=False)
OPEN = Check("likelihood", "not_regress", 0.03, Verdict.INCONCLUSIVE, passed=None, reason="few")

ALLOWED = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "skipped"},
        {"properties", "testcase"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"failure", "error", "skipped", "system-out"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}
"""Attributes and children of each element that the schemas of Jenkins and Apache Ant share."""
TIME = re.compile(r"\d{1,3}(\.\d{1,3})?")


def cases(text: str) -> Iterator[tuple[str, str, list[object]]]:
    for suite in JUnitXml.fromstring(text.encode()):
        for case in suite:
            yield case.name, case.classname, list(case.result)


def problems(text: str) -> list[str]:
    """What a strict reader would not know."""
    found = []
    for element in ElementTree.fromstring(text.encode()).iter():
        attributes, children = ALLOWED.get(element.tag, (set(), set()))
        if element.tag not in ALLOWED:
            found.append(element.tag)
        found += [f"{element.tag}@{name}" for name in element.attrib if name not in attributes]
        found += [f"{element.tag}/{child.tag}" for child in element if child.tag not in children]
        if "time" in element.attrib and not TIME.fullmatch(element.attrib["time"]):
            found.append(f"time {element.attrib['time']}")
    return found


def test_a_requirement_that_does_not_hold_fails_and_one_that_is_open_fails_otherwise() -> None:
    text = junit(decision((LOST, OPEN, CHECKS[0]), Verdict.REGRESSED), URI, comparison())
    lost, undecided, held = cases(text)
    assert lost[:2] == ("token F1 must not lose more than 0.05", URI)
    (failure,) = lost[2]
    assert isinstance(failure, Failure)
    assert failure.type == "rejected"
    assert failure.message.startswith(
        "token F1 must not lose more than 0.05: does not hold, REGRESSED; +20.8 points"
    )
    (failure,) = undecided[2]
    assert (type(failure), failure.type) == (Failure, "inconclusive")
    assert "INCONCLUSIVE (few)" in failure.message
    assert not any(isinstance(each, (Failure, Error, Skipped)) for each in held[2])
    (suite,) = JUnitXml.fromstring(text.encode())
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (3, 2, 0, 0)
    assert {each.name: each.value for each in suite.properties()}["status"] == "REJECTED"


def test_an_open_requirement_is_skipped_where_the_policy_lets_it_pass() -> None:
    text = junit(replace(decision((CHECKS[0], OPEN)), passed=True), URI)
    _, undecided = cases(text)
    assert [type(each) for each in undecided[2]] == [Skipped]
    (suite,) = JUnitXml.fromstring(text.encode())
    assert (suite.failures, suite.skipped) == (0, 1)


def test_a_crash_is_an_error_and_no_case_has_a_verdict() -> None:
    text = no_verdict_junit("the store does not answer\n  Next: start it", "StoreError")
    ((name, _, (error,)),) = cases(text)
    assert name == "verdict"
    assert isinstance(error, Error)
    assert error.type == "StoreError"
    assert "no verdict was reached: the store does not answer" in error.message
    assert problems(text) == []
    (suite,) = JUnitXml.fromstring(text.encode())
    assert (suite.tests, suite.failures, suite.errors) == (1, 0, 1)


@pytest.mark.parametrize(
    "foreign",
    ["\x00\x08\x1b[31m", "\ud800", "\ufffe\uffff", "]]><x/>&amp;\"'", "a\nb\tc", "é" * 10_000],
)
def test_any_text_is_wellformed_and_known_to_a_strict_reader(foreign: str) -> None:
    check = replace(OPEN, metric=foreign, reason=foreign)
    made = decision((LOST, check), Verdict.REGRESSED, sentence=foreign)
    for text in (junit(made, foreign, comparison()), no_verdict_junit(foreign, foreign)):
        assert problems(text) == []
        assert len(text) < 50_000
    assert len(list(cases(junit(made, URI)))) == 2
