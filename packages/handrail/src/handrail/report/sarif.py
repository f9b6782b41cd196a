"""For code scanning: SARIF 2.1.0.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from handrail import __version__
from handrail.findings import Finding, Severity
from handrail.hint import hint
from handrail.review import Reviewed

LEVELS = {Severity.DANGER: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def as_sarif(reviews: Sequence[Reviewed]) -> str:
    """Return one run with all findings; what the revision allows is marked as suppressed, with its reason."""
    findings = [finding for review in reviews for finding in review.findings]
    rules = [
        {
            "id": rule,
            "shortDescription": {"text": hint(rule).title},
            "help": {"text": hint(rule).text, "markdown": hint(rule).text},
        }
        for rule in sorted({finding.rule for finding in findings})
    ]
    driver = {"name": "handrail", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_result(finding) for finding in findings]}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _result(finding: Finding) -> dict[str, Any]:
    artifact = {"uri": finding.file.replace("\\", "/")}
    place = {"artifactLocation": artifact, "region": {"startLine": finding.line}}
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": LEVELS[finding.severity],
        "message": {"text": "\n".join(part for part in (finding.what, finding.why, finding.instead) if part)},
        "locations": [{"physicalLocation": place}],
    }
    if finding.allowed is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.allowed}]
    return result
