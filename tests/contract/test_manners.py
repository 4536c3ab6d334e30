"""The manners of the tests: no sleep but in a loop that asks for something, no stand-ins for real systems."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def files() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in sorted(TESTS.rglob("*.py"))]


def sleeps(node: ast.AST, *, asking: bool = False) -> Iterator[int]:
    """The lines of sleeps that no loop with a condition is around; `sleep(0)` only lets others run."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sleep":
        arguments = [ast.unparse(argument) for argument in node.args]
        if not asking and arguments != ["0"]:
            yield node.lineno
    for child in ast.iter_child_nodes(node):
        yield from sleeps(child, asking=asking or isinstance(node, ast.While | ast.For | ast.AsyncFor))


@pytest.mark.requirement("TST-04")
def test_no_test_sleeps_instead_of_asking() -> None:
    assert {
        str(path.relative_to(TESTS)): lines for path, tree in files() if (lines := list(sleeps(tree)))
    } == {}


@pytest.mark.requirement("TST-01")
def test_no_test_replaces_a_real_system() -> None:
    imported = {
        (path.name, name)
        for path, tree in files()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
    }
    assert [found for found in imported if found[1].startswith(("unittest.mock", "mock"))] == []


@pytest.mark.requirement("TST-04")
def test_tests_run_in_random_order_and_warnings_are_errors(request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.hasplugin("randomly")
    assert "error" in request.config.getini("filterwarnings")
