"""Rules: each looks at what a statement does, and says when somebody should know."""

from handrail.rules import blocking, breaking, failing, losing, silent  # noqa: F401 - they register their rules
from handrail.rules.rule import RULES, Hit, Rule, Step

__all__ = ["RULES", "Hit", "Rule", "Step"]
