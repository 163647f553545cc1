"""Outputs of a comparison: terminal table, JSON, SVG, Markdown card, HTML report.

Every output takes the records of ``llmops.records`` and computes nothing: differences, intervals and
verdicts are those in the records.
"""

from llmops.report.card import evidence_card, version_tags
from llmops.report.html.page import first_screen, html_report
from llmops.report.json import standings_json, to_json
from llmops.report.labels import labels_text
from llmops.report.lineage import lineage_table
from llmops.report.plots.forest import forest_svg
from llmops.report.publish import SIDE_BY_SIDE, publish
from llmops.report.standings import standings_table
from llmops.report.text import comparison_table, sentence

__all__ = [
    "SIDE_BY_SIDE",
    "comparison_table",
    "evidence_card",
    "first_screen",
    "forest_svg",
    "html_report",
    "labels_text",
    "lineage_table",
    "publish",
    "sentence",
    "standings_json",
    "standings_table",
    "to_json",
    "version_tags",
]
