"""Records built by hand: what a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from llmops.records import (
    Answer,
    BaseModel,
    Check,
    Comparison,
    Decision,
    Example,
    IntervalPoint,
    MetricResult,
    ModelFiles,
    PairedTest,
    Row,
    Trajectory,
    Verdict,
)

RUN = "0b8a5f3c9d7e4a1f8c2b6d0e9f3a7c51"
EVIDENCE = "93ae4df2fd7b483908552129570f3e306b631dc913df5bf7aad1e120d390015c"
BASE = BaseModel("smollm2-135m", "models:/smollm2-135m/1", "ab" * 32, Path("base"))


def side(label: str, uri: str = "") -> ModelFiles:
    return ModelFiles(
        label=label,
        uri=uri or f"models:/docstring-bot/{label.removeprefix('v')}",
        base=BASE,
        adapter_dir=None if label == "base" else Path("adapter"),
        adapter_digest=None if label == "base" else "cd" * 32,
        model_id="m-1",
    )


def metric(
    name: str, low: float, difference: float, high: float, **changes: object
) -> MetricResult:
    test = PairedTest(
        difference=difference,
        low=low,
        high=high,
        p_value=0.011 if low > 0 or high < 0 else 0.21,
        n=120,
        clusters=34,
        wins=64,
        ties=31,
        losses=25,
        confidence=0.95,
        detectable=0.063,
    )
    return MetricResult(name, 0.5, 0.5 + difference, replace(test, **changes))


METRICS = (
    metric("token_f1", 0.062, 0.208, 0.354),
    metric("rouge_l", -0.021, 0.048, 0.117),
    metric("one_line", -0.09, -0.05, -0.01),
    metric("likelihood", -0.012, 0.004, 0.02),
)
CHECKS = (
    Check("token_f1", "improve", 0.0, Verdict.IMPROVED, passed=True),
    Check("likelihood", "not_regress", 0.03, Verdict.NOT_WORSE, passed=True),
)


TRAJECTORY = Trajectory(
    "token_f1",
    (
        IntervalPoint(40, 0.2, -0.1, 0.5),
        IntervalPoint(80, 0.21, 0.02, 0.4),
        IntervalPoint(120, 0.208, 0.062, 0.354),
    ),
)


def row(
    number: int,
    old: str,
    new: str,
    scores: tuple[float, float],
    names: Sequence[str] = tuple(m.metric for m in METRICS),
    **example: object,
) -> Row:
    asked = {
        "id": f"q{number}",
        "messages": ({"role": "user", "content": f"Question {number}: what does it return?"},),
        "expected": "Return the last access time of a file.",
        "cluster": f"module{number % 7}",
    }
    return Row(
        example=Example(**{**asked, **example}),
        baseline=Answer(old, 9, 40, "stop"),
        candidate=Answer(new, 64, 40, "length"),
        baseline_scores=dict.fromkeys(names, scores[0]),
        candidate_scores=dict.fromkeys(names, scores[1]),
    )


def rows(count: int = 12) -> tuple[Row, ...]:
    return tuple(
        row(i, "Return the time of a file.", "Return the last access time.", (0.5, (i % 11) / 10))
        for i in range(count)
    )


def comparison(
    metrics: Sequence[MetricResult] = METRICS,
    shown: Sequence[Row] | None = None,
    **changes: object,
) -> Comparison:
    made = Comparison(
        baseline=side("v2"),
        candidate=side("v3"),
        suite_name="stdlib-docs-test",
        suite_digest="ef" * 32,
        metrics=tuple(metrics),
        rows=tuple(rows() if shown is None else shown),
        method="fixed",
        available=120,
        nll=(2.0131, 1.2042),
        notes=("2 prompts were left out: longer than the context",),
        seconds=93.4,
        run_id=RUN,
        experiment_id="1",
        child_run_ids=("a" * 32, "b" * 32),
        trajectories=(TRAJECTORY,),
    )
    return replace(made, **changes)


def decision(
    checks: Sequence[Check] = CHECKS, verdict: Verdict = Verdict.IMPROVED, **changes: object
) -> Decision:
    made = Decision(
        verdict=verdict,
        passed=all(check.passed for check in checks),
        checks=tuple(checks),
        sentence=f"{verdict}: v3 beats v2 on token F1 by +20.8 points",
        evidence={},
        evidence_digest=EVIDENCE,
    )
    return replace(made, **changes)


LINKS: Mapping[str, str] = {
    "Report": f"#/experiments/1/runs/{RUN}/artifacts/report/report.html",
    "Row by row": f"#/experiments/1/runs/{'b' * 32}/traces?compareToRunUuid={'a' * 32}",
    "Evidence run": f"#/experiments/1/runs/{RUN}",
    "Model metrics": "#/experiments/1/models/m-1",
    "Download evidence": f"get-artifact?path=report/evidence.json&run_uuid={RUN}",
}
