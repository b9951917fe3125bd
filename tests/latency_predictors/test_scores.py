from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from latency_predictors import PredictorError, PredictorScores, score


def test_scores_by_hand() -> None:
    measured = np.array([1.0, 2.0, 4.0, 8.0])
    scores = score([1.05, 1.9, 8.0, 4.0], measured)
    assert scores.spearman == pytest.approx(0.8)
    assert scores.kendall == pytest.approx(4 / 6)
    assert scores.mape == pytest.approx((0.05 + 0.05 + 1.0 + 0.5) / 4)
    assert scores.mae_s == pytest.approx((0.05 + 0.1 + 4.0 + 4.0) / 4)
    assert scores.within_10_percent == pytest.approx(0.5)
    assert scores.count == 4


def test_perfect_and_useless_predictions() -> None:
    measured = [1.0, 2.0, 3.0]
    assert score(measured, measured) == PredictorScores(1.0, 1.0, 0.0, 0.0, 1.0, 3)
    useless = score([2.0, 2.0, 2.0], measured)
    assert (useless.spearman, useless.kendall) == (0.0, 0.0)


def test_passing_needs_rank_and_error() -> None:
    good = PredictorScores(0.95, 0.9, 0.1, 1e-4, 0.7, 40)
    assert good.passes()
    assert not good.passes(min_spearman=0.96)
    assert not good.passes(max_mape=0.05)
    assert not replace(good, spearman=float("nan")).passes()


def test_scores_travel_as_json() -> None:
    scores = score([1.0, 2.0, 2.5], [1.0, 2.0, 3.0])
    assert PredictorScores.from_json(json.loads(json.dumps(scores.to_json()))) == scores
    with pytest.raises(PredictorError, match=r"lack \['kendall'"):
        PredictorScores.from_json({"spearman": 1.0})


@pytest.mark.parametrize(
    ("predicted", "measured", "message"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0], r"\(3,\) predictions were given for \(2,\)"),
        ([1.0], [1.0], "at least 2"),
        ([1.0, float("nan")], [1.0, 2.0], "1 of 2 predictions are not finite"),
        ([1.0, 2.0], [1.0, float("nan")], r"nan at 1"),
        ([1.0, 2.0], [0.0, 2.0], r"0.0 at 0"),
        ([1.0, 2.0], [-1.0, 2.0], "not positive"),
        ([1.0, 2.0], [2.0, 2.0], "all 2 latencies are 2.0 s"),
    ],
)
def test_what_cannot_be_compared_is_refused(predicted: list[float], measured: list[float], message: str) -> None:
    with pytest.raises(PredictorError, match=message):
        score(predicted, measured)
