"""A complete, canonical snapshot of what a database holds: readable, hashable, and comparable object by object.

Every text in it was written by the server itself, with each name qualified, so that two equal databases have equal
catalogs, however they came about. Objects of extensions and PostgreSQL's own are left out.
"""

from __future__ import annotations

from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.catalog.read import read_catalog

__all__ = ["Attributes", "Catalog", "Kind", "Name", "read_catalog"]
