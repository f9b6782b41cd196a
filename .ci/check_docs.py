"""Check that the documentation is true: links lead somewhere, commands exist, the README stays short."""

import re
import sys
from pathlib import Path

README_LINES = 200  # what a person reads before trying; depth belongs into docs/
SKIPPED = {".git", ".venv", ".postgres", "node_modules", "dist", "build"}


def main() -> int:
    """Print each fault as `file:line: what` and return the exit code."""
    pages = [page for page in sorted(Path().rglob("*.md")) if not SKIPPED & set(page.parts)]
    faults = [fault for page in pages for fault in (*dead_links(page), *unknown_targets(page))]
    faults += undocumented_targets()
    readme = Path("README.md")
    if readme.exists() and (count := len(readme.read_text(encoding="utf-8").splitlines())) > README_LINES:
        faults.append(f"README.md: {count} lines, at most {README_LINES}; move depth into docs/.")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def dead_links(page: Path) -> list[str]:
    """Return the relative links of a page whose file or heading does not exist."""
    faults = []
    for number, line in prose(page):
        for link in re.findall(r"\]\(<?([^)\s>]+)", line):
            if re.match(r"[a-z]+:", link):
                continue
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            if not target.exists():
                faults.append(f"{page}:{number}: the link leads to {link}, which does not exist.")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                faults.append(f"{page}:{number}: {target} has no heading for #{anchor}.")
    return faults


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub forms them."""
    headings = (re.match(r"#+ +(.*)", line) for _, line in prose(page))
    titles = (re.sub(r"[^\w\- ]", "", heading[1].strip().lower()) for heading in headings if heading)
    return {title.replace(" ", "-") for title in titles}


def prose(page: Path) -> list[tuple[int, str]]:
    """Return the numbered lines of a page outside code blocks."""
    return [(number, line) for number, line, code in numbered(page) if not code]


def numbered(page: Path) -> list[tuple[int, str, bool]]:
    """Return the lines of a page with their number and whether they are in a code block."""
    lines, code = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            code = not code
        lines.append((number, line, code))
    return lines


def make_targets() -> set[str]:
    """Return the targets that `make help` lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def undocumented_targets() -> list[str]:
    """Return the listed make targets that neither README nor CONTRIBUTING mentions."""
    pages = (Path("README.md"), Path("CONTRIBUTING.md"))
    text = "".join(page.read_text(encoding="utf-8") for page in pages if page.exists())
    missing = sorted(target for target in make_targets() if not re.search(rf"\bmake {target}\b", text))
    return [f"Makefile: `make {target}` is in neither README.md nor CONTRIBUTING.md." for target in missing]


def unknown_targets(page: Path) -> list[str]:
    """Return the `make …` commands of a page that the Makefile does not have."""
    makefile = Path("Makefile").read_text(encoding="utf-8")
    faults = []
    for number, line, code in numbered(page):
        mentioned = re.findall(r"^ *(?:\$ )?make ([a-z][a-z-]*)" if code else r"`make ([a-z][a-z-]*)", line)
        unknown = [target for target in mentioned if not re.search(rf"^{target}:", makefile, re.MULTILINE)]
        faults += [f"{page}:{number}: there is no `make {target}`." for target in unknown]
    return faults


if __name__ == "__main__":
    sys.exit(main())
