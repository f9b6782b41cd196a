"""Write docs/rules from the pages of the rules, with what is said of their bad examples.

cd packages/handrail/tests && python -m rules.write_docs
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from handrail.cli.explain import groups
from handrail.findings import Finding
from handrail.hint import Hint, hint
from handrail.predict import State
from handrail.sizes import Sizes
from rules.examples import review
from rules.shop import shop_sizes, shop_state
from small_project import REPOSITORY

FOLDER = REPOSITORY / "docs/rules"
COMMAND = "cd packages/handrail/tests && python -m rules.write_docs"
INDEX = """\
# What `handrail review` finds

Each rule looks at what a statement does, on how large a table, and not at how it is written. The same pages are shown
by `handrail explain <rule>`. What is meant gets one line in the revision, with the reason:

```python
# handrail: allow <rule> <object> — <reason>
```

A **danger** loses data, lets requests stand still, or fails for sure. A **warning** can go wrong. A **note** is good to
know, and no reason to stop.
"""


def main() -> None:
    """Write all pages, and remove those of rules that there are no more."""
    pages = texts()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob("*.md"):
        if file.name not in pages:
            file.unlink()
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def texts() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    state = shop_state()
    sizes = shop_sizes(state)
    pages = {
        f"{rule}.md": in_markdown(hint(rule), example(rule, state, sizes))
        for rules in groups().values()
        for rule in rules
    }
    return pages | {"README.md": index()}


def index() -> str:
    """Return the list of all pages."""
    parts = [INDEX]
    for title, rules in groups().items():
        parts.append(f"## {title}\n")
        parts.append("".join(f"- [{rule}]({rule}.md): {hint(rule).title}\n" for rule in rules))
    return "\n".join(parts)


def example(rule: str, state: State, sizes: Sizes) -> Finding:
    """Return what is found in the bad example of a rule."""
    with TemporaryDirectory() as folder:
        findings = review(Path(folder), [hint(rule).bad], state.copy(), sizes)
    return next(finding for finding in findings if finding.rule == rule)


def in_markdown(page: Hint, finding: Finding) -> str:
    """Return a page as documentation, with the names of its example."""
    advice, _, code = (finding.instead or page.instructions({})).partition("\n")
    parts = [
        f"# {page.rule}\n\n{page.title} It is a **{finding.severity}**.\n",
        f"## For example\n\n{_code([page.bad])}",
        f"## What happens\n\n{finding.what.replace('<', '&lt;')}\n",
        f"## Why it matters\n\n{finding.why}\n",
    ]
    parts.append(f"## Instead\n\n{advice}\n" + (f"\n{_code([code])}" if code else ""))
    parts.append(f"## The example without it\n\n{_code(page.good)}")
    return "\n".join(parts)


def _code(bodies: Sequence[str]) -> str:
    blocks = [f"```python\n{body}\n```\n" for body in bodies]
    return "\nIn the next revision:\n\n".join(blocks)


if __name__ == "__main__":
    main()
