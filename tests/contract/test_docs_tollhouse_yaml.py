"""docs/reference/tollhouse-yaml.md: its example is taken, and every key of the file stands there."""

import re
from pathlib import Path

import pytest

from tollhouse.config import SERVICES, Config, read_config
from tollhouse.problems import DocumentError

PAGE = (Path(__file__).parents[2] / "docs/reference/tollhouse-yaml.md").read_text()
ENVIRONMENT = {"BOSS_KEY": "a-key-of-sixteen-characters"}


def read(folder: Path, text: str) -> Config:
    (folder / "policy.yaml").touch()
    (folder / "tollhouse.yaml").write_text(text)
    return read_config(folder / "tollhouse.yaml", ENVIRONMENT)


def example() -> str:
    [text] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def keys_told(heading: str) -> set[str]:
    """The keys in the table under a heading."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE))


@pytest.mark.requirement("OPS-04")
def test_the_example_is_complete_and_can_be_used(tmp_path: Path) -> None:
    config = read(tmp_path, example())
    assert (config.tenant, set(config.servers), len(config.operators)) == ("acme", {"bank", "search"}, 1)
    assert all(config.settings[name] for name in SERVICES)
    assert keys_told("Top level") == set(re.findall(r"^(\w+):", example(), re.MULTILINE))


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(
    ("heading", "text"),
    [
        ("Top level", "oops: 1"),
        ("Servers", "servers: {bank: {oops: 1}}"),
        ("Agents", "agents: [{oops: 1}]"),
        ("Operators", "operators: [{oops: 1}]"),
        ("Issuers", "issuers: [{oops: 1}]"),
    ],
)
def test_every_key_that_is_allowed_stands_there(tmp_path: Path, heading: str, text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, f"{text}\n")
    [allowed] = re.findall(r"unknown key; allowed here: ([\w, ]+)", str(caught.value))
    assert keys_told(heading) == set(allowed.split(", "))


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize("part", ["agents", "operators", "issuers"])
def test_what_is_required_is_told(tmp_path: Path, part: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, f"policy: policy.yaml\n{part}: [{{}}]\n")
    missing = set(re.findall(rf"{part}\[0\]\.(\w+): is missing", str(caught.value)))
    section = PAGE.split(f"\n## {part.title()}\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \| .* Required \|$", section, re.MULTILINE)) == missing
