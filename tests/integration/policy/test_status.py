"""`tollhouse policy status` asks the running OPA itself."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.fixtures.servers import OpaServer, StartOpa
from tests.unit.policy.test_document import EXAMPLE
from tollhouse.local.data import LOCK, Lock
from tollhouse.local.ready_file import READY_FILE
from tollhouse.policy.commands import policy_app
from tollhouse.policy.compile import build_bundle


def status(data: Path) -> Result:
    return CliRunner().invoke(policy_app, ["status", "--data", str(data)])


def status_beside(opa: OpaServer, data: Path) -> Result:
    """What is said where a stack runs with this OPA."""
    (data / READY_FILE).write_text(json.dumps({"opa": opa.url}))
    with Lock(data / LOCK):
        return status(data)


@pytest.mark.requirement("POL-03")
@pytest.mark.requirement("POL-04")
def test_the_policy_that_judges_is_told_with_its_budgets(start_opa: StartOpa, tmp_path: Path) -> None:
    revision = build_bundle(EXAMPLE, tmp_path / "bundle")
    told = status_beside(start_opa([tmp_path / "bundle"]), tmp_path)
    assert told.exit_code == 0, told.output
    assert f"version {revision.version}, revision {revision.revision}, USD" in told.output
    lines = [re.split(r" {2,}", line.strip()) for line in told.output.splitlines()[1:]]
    assert lines == [
        ["role", "tools", "patterns"],
        ["executive", "2", "0"],
        ["executor", "2", "1"],
        ["budget, cents", "hour", "day", "month", "lifetime"],
        ["tenant", "none", "none", "10000000", "none"],
        ["each workflow", "none", "none", "none", "200000"],
        ["role executive", "none", "1000000", "none", "none"],
        ["role executor", "none", "100000", "none", "none"],
        ["each agent of executor", "60000", "none", "none", "none"],
    ]


def test_an_opa_without_policy_or_none_at_all_is_said(start_opa: StartOpa, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "p.rego").write_text("package gateway.p\n\nx := 1\n")
    opa = start_opa([bundle])
    assert "OPA does not say" in status_beside(opa, tmp_path).output
    opa.kill()
    assert "OPA does not answer" in status_beside(opa, tmp_path).output


def test_no_stack_is_said(tmp_path: Path) -> None:
    told = status(tmp_path)
    assert told.exit_code == 1
    assert "no stack is running" in told.output
