"""Reports: the same findings, written for people, machines, GitHub and code scanning."""

from handrail.report.github import as_github
from handrail.report.markdown import as_markdown
from handrail.report.sarif import as_sarif
from handrail.report.structured import as_json
from handrail.report.text import as_text

FORMATS = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
    "markdown": as_markdown,
}

__all__ = ["FORMATS", "as_github", "as_json", "as_markdown", "as_sarif", "as_text"]
