"""What the pages say is what is there: links lead somewhere, files shown are the files that run."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tollhouse.policy.compile import compile_policy
from tollhouse.policy.condition import compile_condition
from tollhouse.policy.reader import read_policy

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(BLOCK.sub("", page.read_text())):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        to = (page.parent / parts.path).resolve() if parts.path else page
        assert to.exists(), f"{target} is not there"
        assert not parts.fragment or parts.fragment in anchors(to), f"{target}: no such heading"


def test_every_page_that_the_code_names_is_there() -> None:
    named = {
        page
        for room in ("adapters", "control", "gateway", "schemas", "tollhouse", "treasury")
        for path in (ROOT / room).rglob("*.py")
        for page in re.findall(r"docs/[\w/-]+\.md", path.read_text())
    }
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


@pytest.mark.parametrize("name", ["policy.yaml", "tollhouse.yaml"])
def test_the_tutorial_shows_the_files_that_it_runs(name: str) -> None:
    shown = [text for language, text in BLOCK.findall((ROOT / "README.md").read_text()) if language == "yaml"]
    assert (ROOT / "examples/quickstart" / name).read_text() in shown


def test_the_readme_begins_with_what_it_is_for_and_two_commands() -> None:
    first = (ROOT / "README.md").read_text().split("\n## ")[0]
    assert first.startswith("# Tollhouse\n\n**For ")
    commands = BLOCK.search(first)
    assert commands is not None
    assert [line.split("#")[0].strip() for line in commands[2].splitlines()] == ["make demo", "make test"]


def test_the_policies_shown_can_be_used(tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs/reference/policy-document.md").read_text())
    [shown] = [text for language, text in blocks if language == "yaml"]
    [condition] = [text.strip() for language, text in blocks if not language]
    (tmp_path / "shown.yaml").write_text(shown)
    for policy in (tmp_path / "shown.yaml", *ROOT.glob("examples/**/policy.yaml")):
        compile_policy(read_policy(policy))
    assert compile_condition(condition)
