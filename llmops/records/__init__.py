"""Frozen records that the stages exchange; stages never import one another.

Unless a field says otherwise, times are in seconds, sizes in bytes, scores in [0, 1], likelihoods in
nats, and digests are hexadecimal SHA-256.
"""

from llmops.records.answers import (
    Answer,
    Example,
    Likelihood,
    Message,
    Sampling,
    Suite,
)
from llmops.records.ci import CiContext
from llmops.records.comparison import (
    Comparison,
    IntervalPoint,
    JudgeControls,
    MetricResult,
    PairedTest,
    Row,
    SliceResult,
    SmallSlice,
    Standing,
    Trajectory,
)
from llmops.records.data import (
    DataSplit,
    DataSummary,
    PreparedData,
)
from llmops.records.decision import (
    Check,
    Decision,
    Verdict,
)
from llmops.records.figures import Figures, OwnMean, SliceTest, Spent
from llmops.records.frozen import Budget, Frozen
from llmops.records.labels import HumanLabels
from llmops.records.lineage import Lineage
from llmops.records.models import (
    BaseModel,
    LoadOptions,
    ModelFiles,
    ModelVersion,
    RemoteModel,
    Side,
    TrainResult,
)
from llmops.records.outlook import Outlook
from llmops.records.serving import Deployment, Proof

__all__ = [
    "Answer",
    "BaseModel",
    "Budget",
    "Check",
    "CiContext",
    "Comparison",
    "DataSplit",
    "DataSummary",
    "Decision",
    "Deployment",
    "Example",
    "Figures",
    "Frozen",
    "HumanLabels",
    "IntervalPoint",
    "JudgeControls",
    "Likelihood",
    "Lineage",
    "LoadOptions",
    "Message",
    "MetricResult",
    "ModelFiles",
    "ModelVersion",
    "Outlook",
    "OwnMean",
    "PairedTest",
    "PreparedData",
    "Proof",
    "RemoteModel",
    "Row",
    "Sampling",
    "Side",
    "SliceResult",
    "SliceTest",
    "SmallSlice",
    "Spent",
    "Standing",
    "Suite",
    "TrainResult",
    "Trajectory",
    "Verdict",
]
