"""Errors of this layer. Every message says what was given, what is allowed and what to do next."""


class PredictorError(ValueError):
    """Measurements that no predictor can learn from, a predictor that is not ready, or files that are not one."""
