"""What statements do to a database, by running them on a scratch copy with rows in it and watching PostgreSQL."""

from handrail.measure.contents import Contents, Held, values_by_name
from handrail.measure.watch import Measured, measure, watched

__all__ = ["Contents", "Held", "Measured", "measure", "values_by_name", "watched"]
