from __future__ import annotations

import pytest

from latency_predictors import (
    CostModelPredictor,
    PredictorError,
    describe_predictor,
    get_predictor,
    predictor_names,
    register_predictor,
)


def test_names_and_descriptions() -> None:
    assert {"block_table", "boosting", "cost_model"} <= set(predictor_names())
    for name in predictor_names():
        assert describe_predictor(name)
        assert get_predictor(name).name == name


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(PredictorError, match=r"no predictor 'oracle'; there are \['block_table'"):
        get_predictor("oracle")
    with pytest.raises(PredictorError, match=r"'boosting' cannot be made with options \{'colour': 1\}"):
        get_predictor("boosting", {"colour": 1})
    with pytest.raises(PredictorError, match="registered already"):
        register_predictor(CostModelPredictor)


def test_options_reach_the_predictor() -> None:
    assert get_predictor("boosting", {"trees": 7}).options()["trees"] == 7
