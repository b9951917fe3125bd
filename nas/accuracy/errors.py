"""What the accuracy predictors raise."""

from nas.errors import NasError


class AccuracyError(NasError):
    """Networks or accuracies nothing can be learnt from, or a predictor that cannot be used as asked."""
