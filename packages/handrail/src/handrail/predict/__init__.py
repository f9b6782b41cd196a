"""Predict: what statements do, told from their syntax and from what is known of the database; none is run."""

from handrail.predict.parts import Part, predict
from handrail.predict.state import Answers, State

__all__ = ["Answers", "Part", "State", "predict"]
