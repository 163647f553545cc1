"""Comparisons and standings as JSON, for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

from llmops.records import (
    Comparison,
    Decision,
    HumanLabels,
    MetricResult,
    Side,
    SliceResult,
    SmallSlice,
    Standing,
)
from llmops.report import wording
from llmops.report.wording import finding

SCHEMA_VERSION = 1


def to_json(comparison: Comparison, decision: Decision | None = None) -> dict[str, object]:
    """Return the result as JSON: the unrounded numbers of the table, without answers.

    Args:
        comparison: Result of the comparison.
        decision: Decision of the gate; ``None`` if the gate did not run.

    Returns:
        JSON types only; NaN and infinity, which JSON lacks, become ``None``.

    Example:
        import json

        from llmops.report import to_json

        print(json.dumps(to_json(comparison), indent=2))
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "baseline": _side(comparison.baseline),
        "candidate": _side(comparison.candidate),
        "suite": {
            "name": comparison.suite_name,
            "digest": comparison.suite_digest,
            "prompts": len(comparison.rows),
            "available": comparison.available,
        },
        "metrics": [_metric(result, decision) for result in comparison.metrics],
        "method": comparison.method,
        "settings": dict(comparison.settings),
        "when": comparison.when or None,
        "nll_per_token": None
        if comparison.nll is None
        else dict(zip(("baseline", "candidate"), map(_number, comparison.nll), strict=True)),
        "slices": [_slice(item) for item in comparison.slices if isinstance(item, SliceResult)],
        "slices_too_small": [
            asdict(item) for item in comparison.slices if isinstance(item, SmallSlice)
        ],
        "human_labels": _human_labels(comparison.human_labels),
        "trained_on": [row.example.id for row in comparison.trained],
        "notes": list(comparison.notes),
        "seconds": _number(comparison.seconds),
        "run_id": comparison.run_id,
        "experiment_id": comparison.experiment_id,
        "child_run_ids": list(comparison.child_run_ids),
        "decision": None if decision is None else _decision(decision),
    }


def standings_json(standings: Sequence[Standing]) -> list[dict[str, object]]:
    """Return the standings of several sides as JSON, in the order given.

    Args:
        standings: Standings from ``llmops.compare.standings``, best side first.

    Returns:
        JSON types only; NaN and infinity, which JSON lacks, become ``None``.

    Example:
        from llmops.compare import standings
        from llmops.report import standings_json

        rows = standings_json(standings(comparisons))
        print(rows[0]["label"], rows[0]["score"])
    """
    return [
        {
            "label": standing.side.label,
            "uri": standing.side.uri,
            "score": _number(standing.score),
            "p_holm": standing.p_holm,
            "strength": standing.strength
            and dict(zip(("log_odds", "error"), map(_number, standing.strength), strict=True)),
        }
        for standing in standings
    ]


def _side(side: Side) -> dict[str, object]:
    return {
        "label": side.label,
        "uri": side.uri,
        "digest": side.digest,
        "base_digest": side.base.digest if side.base else None,
        "adapter_digest": side.adapter_digest,
        "model_id": side.model_id,
    }


def _metric(result: MetricResult, decision: Decision | None) -> dict[str, object]:
    test = result.test
    return {
        "metric": result.metric,
        "baseline": _number(result.baseline),
        "candidate": _number(result.candidate),
        "difference": _number(test.difference),
        "low": _number(test.low),
        "high": _number(test.high),
        "confidence": _number(test.confidence),
        "p_value": _number(test.p_value),
        "detectable": _number(test.detectable),
        "margin": result.margin,
        "pairs": test.n,
        "clusters": test.clusters,
        "wins": test.wins,
        "ties": test.ties,
        "losses": test.losses,
        "result": finding(result, decision).word,
    }


def _slice(item: SliceResult) -> dict[str, object]:
    """Return a slice as JSON; numbers that an empty or constant slice lacks become ``None``."""
    return {k: _number(v) if isinstance(v, float) else v for k, v in asdict(item).items()}


def _human_labels(found: HumanLabels | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {k: _number(v) if isinstance(v, float) else v for k, v in asdict(found).items()}


def _decision(decision: Decision) -> dict[str, object]:
    return {
        "status": wording.status(decision),
        "verdict": str(decision.verdict),
        "passed": decision.passed,
        "exit_code": decision.exit_code,
        "sentence": decision.sentence,
        "note": decision.note or None,
        "checks": [
            {
                "metric": check.metric,
                "slice": check.slice and "=".join(check.slice),
                "must": check.must,
                "margin": check.margin,
                "value": check.value,
                "observed": check.observed,
                "verdict": str(check.verdict),
                "passed": check.passed,
                "reason": check.reason or None,
            }
            for check in decision.checks
        ],
        "evidence_digest": decision.evidence_digest,
        "budget": None if decision.budget is None else asdict(decision.budget),
        "reused": decision.reused,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
