"""A folder of own Rego: its author states version and currency, the build its revision."""

from pathlib import Path

import orjson
import pytest

from tests.unit.policy.test_document import EXAMPLE
from tollhouse.policy.compile import build_bundle
from tollhouse.policy.folder import DEPTH_MAX, FILE_BYTES_MAX, FILES_MAX
from tollhouse.policy.revision import NotABundle
from tollhouse.problems import DocumentError

STATED = 'version: "7"\ncurrency: EUR\n'


def folder_with(folder: Path, **files: str) -> Path:
    """A folder of one rule and these files, by their path."""
    for name, text in {"gateway/p.rego": "package gateway.p", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def policy_in(bundle: Path, file: str) -> dict[str, object]:
    document: dict[str, object] = orjson.loads((bundle / file).read_bytes())
    return document


@pytest.mark.requirement("POL-04")
def test_the_revision_is_written_where_the_policy_is_stated(tmp_path: Path) -> None:
    source = folder_with(tmp_path / "own", **{"gateway/policy/data.yaml": STATED})
    built = build_bundle(source, tmp_path / "bundle")
    assert policy_in(tmp_path / "bundle", "gateway/policy/data.json") == {
        "version": "7",
        "currency": "EUR",
        "revision": built.revision,
    }
    assert not (tmp_path / "bundle" / "gateway" / "policy" / "data.yaml").exists()
    assert (built.version, len(built.revision)) == ("7", 64)


@pytest.mark.requirement("POL-04")
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("gateway/policy/data.json", '{"version": "7", "currency": "EUR", "revision": "old"}'),
        ("gateway/data.json", '{"policy": {"version": "7", "currency": "EUR"}, "roles": {}}'),
        ("data.json", '{"gateway": {"policy": {"version": "7", "currency": "EUR"}, "limit": 0.10}}'),
    ],
)
def test_the_policy_may_be_stated_in_any_data_above(tmp_path: Path, file: str, text: str) -> None:
    built = build_bundle(folder_with(tmp_path / "own", **{file: text}), tmp_path / "bundle")
    written = (tmp_path / "bundle" / file).read_text()
    assert f'"revision":"{built.revision}"' in written
    assert "old" not in written
    assert ("0.10" in text) == ("0.10" in written)


@pytest.mark.requirement("POL-04")
def test_a_revision_names_all_that_is_loaded(tmp_path: Path) -> None:
    source = folder_with(tmp_path / "own", **{"gateway/policy/data.yaml": STATED})
    first = build_bundle(source, tmp_path / "bundle")
    assert build_bundle(tmp_path / "bundle", tmp_path / "again") == first
    for name, text in (
        ("gateway/p.rego", "package gateway.q"),
        ("gateway/policy/data.yaml", STATED + "x: 1"),
    ):
        folder_with(source, **{"gateway/policy/data.yaml": STATED, name: text})
        assert build_bundle(source, tmp_path / "bundle").revision != first.revision


@pytest.mark.requirement("POL-04")
def test_a_bundle_of_a_document_is_a_folder_too(tmp_path: Path) -> None:
    document = build_bundle(EXAMPLE, tmp_path / "one")
    folder = build_bundle(tmp_path / "one", tmp_path / "two")
    assert folder.version == document.version
    assert build_bundle(tmp_path / "two", tmp_path / "two") == folder
    assert policy_in(tmp_path / "two", ".manifest")["revision"] == folder.revision


@pytest.mark.requirement("POL-04")
@pytest.mark.parametrize(
    "files",
    [
        {},
        {"gateway/policy/data.yaml": "currency: EUR"},
        {"gateway/policy/data.yaml": "version: 1\ncurrency: EUR"},
        {"gateway/policy/data.yaml": "just text"},
        {"gateway/data.json": '{"policy": ["7", "EUR"]}'},
        {"data.json": '{"gateway": 5}'},
    ],
)
def test_a_policy_that_names_no_version_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(NotABundle, match=r"does not say data\.gateway\.policy\.version and currency"):
        build_bundle(folder_with(tmp_path / "own", **files), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({".manifest": "{"}, "is not JSON"),
        ({".manifest": "[]"}, "must be a JSON object"),
        ({"data.json": '{"a": 1, "a": 2}'}, "data.json: the key 'a' stands twice"),
        ({"data.json": "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)}, "nested deeper"),
        ({"gateway/large": "x" * (FILE_BYTES_MAX + 1)}, "is larger than"),
        ({f"gateway/{number}": "" for number in range(FILES_MAX)}, "has more than 1000 files"),
    ],
)
def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(NotABundle, match=told):
        build_bundle(folder_with(tmp_path / "own", **files), tmp_path / "bundle")


def test_a_folder_without_rego_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(NotABundle, match="has no file of Rego"):
        build_bundle(tmp_path / "own", tmp_path / "bundle")


def test_a_statement_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"data\.yaml:2:"):
        build_bundle(
            folder_with(tmp_path / "own", **{"gateway/policy/data.yaml": "a: 1\na: 2"}), tmp_path / "b"
        )
