"""Review revisions and SQL files: what each does, found without a database and judged before anything is run."""

from handrail.review.reviewed import Reviewed

__all__ = ["Reviewed"]
