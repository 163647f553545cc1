"""What all sections share."""

from __future__ import annotations

import pytest
from pydantic import ValidationError, model_validator
from pydantic_core.core_schema import ValidationInfo

from llmops.recipe.section import Scorer, Section, allows_code


class Asked(Section):
    scorer: Scorer = "exact"

    @model_validator(mode="after")
    def _noted(self, info: ValidationInfo) -> Asked:
        assert allows_code(info) is (info.context == {"code": True})
        return self


@pytest.mark.parametrize("context", [None, {}, {"code": False}, {"code": True}])
def test_code_is_allowed_by_the_caller_alone(context: dict[str, bool] | None) -> None:
    given = {"scorer": "mlflow:mine:score"}
    if context == {"code": True}:
        assert Asked.model_validate(given, context=context).scorer == given["scorer"]
        return
    with pytest.raises(ValidationError, match="executes no code"):
        Asked.model_validate(given, context=context)
    assert Asked.model_validate({}, context=context).scorer == "exact"
