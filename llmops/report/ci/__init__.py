"""What CI and a reviewer see of a decision: JUnit XML, a Markdown summary, annotations of a job."""

from llmops.report.ci.annotations import annotation_lines, no_verdict_annotation
from llmops.report.ci.junit import junit, no_verdict_junit
from llmops.report.ci.steps import Step, headline, next_step
from llmops.report.ci.summary import no_verdict_page, no_verdict_summary, summary

__all__ = [
    "Step",
    "annotation_lines",
    "headline",
    "junit",
    "next_step",
    "no_verdict_annotation",
    "no_verdict_junit",
    "no_verdict_page",
    "no_verdict_summary",
    "summary",
]
