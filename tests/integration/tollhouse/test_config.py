"""tollhouse.yaml: what is taken, and every mistake by its line."""

from pathlib import Path

import pytest

from tollhouse.config import Config, read_config
from tollhouse.local.policy import compile_policy
from tollhouse.problems import DocumentError

GOOD = """\
tenant: acme
servers:
  bank:   {kind: mcp,  url: "http://127.0.0.1:9101/mcp"}
  search: {kind: http, url: "http://127.0.0.1:9102"}
agents:
  - {id: scout, role: executor}
  - {id: boss,  role: executive, key: "env:BOSS_KEY"}
operators:
  - {id: olga, role: executive}
issuers:
  - issuer: https://idp
    audience: tollhouse
    jwks_url: https://idp/jwks
    algorithms: [ES256]
    subjects: {sub-of-scout: scout}
policy: policy.yaml
gateway: {port: 8700, upstream_timeout_s: 5}
treasury: {hold_ttl_s: 60}
"""
ENVIRONMENT = {"BOSS_KEY": "a-key-of-sixteen-characters"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text("version: '1.0'\n")
    return tmp_path


def read(folder: Path, text: str) -> Config:
    path = folder / "tollhouse.yaml"
    path.write_text(text)
    return read_config(path, ENVIRONMENT)


@pytest.mark.requirement("OPS-04")
def test_a_good_file_is_taken_with_the_settings_of_its_sections(folder: Path) -> None:
    config = read(folder, GOOD)
    assert [agent.id for agent in config.agents] == ["scout", "boss"]
    assert config.settings["gateway"] == {"port": 8700, "upstream_timeout_s": 5.0}
    assert config.port("gateway") == 8700
    assert config.port("treasury") is None
    assert config.settings["treasury"] == {"hold_ttl_s": 60}
    assert config.drain_s("gateway") == 20
    assert config.drain_s("relay") == 0
    assert config.policy_path == folder / "policy.yaml"


MISTAKES = [
    ("tenant: acme", "tenant: acme\noops: 1", "2:1: oops: unknown key; allowed here: agents, control"),
    ("role: executor", "role: 3", "6:23: agents[0].role: must be text"),
    ("search: {", "treasury: {", "servers.treasury: the treasury has this name already"),
    ("kind: http", "kind: ftp", "4:18: servers.search.kind: must be 'mcp' or 'http', got 'ftp'"),
    (
        "upstream_timeout_s: 5",
        "upstream_timeout_s: soon",
        "17:43: gateway.upstream_timeout_s: must be a number",
    ),
    ("port: 8700", "opa_url: x", "17:11: gateway.opa_url: unknown key; allowed here: accrual_interval_s, "),
    ("hold_ttl_s: 60", "hold_ttl_s: 0.5", "18:24: treasury.hold_ttl_s: must be a whole number, got 0.5"),
    ('url: "http://127.0.0.1:9102"', "url: nowhere", "4:29: servers.search.url: "),
    (
        'url: "http://127.0.0.1:9102"',
        'url: "http://me:secret@127.0.0.1:9102"',
        "4:29: servers.search.url: the URL of a tool server has no user",
    ),
    (
        'url: "http://127.0.0.1:9102"',
        'url: "http://127.0.0.1:9102/?key=secret"',
        "4:29: servers.search.url: the URL of a tool server has no query",
    ),
    ("policy: policy.yaml", "policy: none.yaml", "16:9: policy: there is no "),
    ("id: boss", "id: scout", "7:10: agents[1].id: 'scout' stands here already"),
    ("id: olga", "id: scout", "9:10: operators[0].id: 'scout' stands here already"),
    ("env:BOSS_KEY", "env:NO_KEY", "7:39: agents[1].key: the environment variable NO_KEY must hold"),
    ("env:BOSS_KEY", "plain-key", "7:39: agents[1].key: "),
    ("subjects: {sub-of-scout: scout}", "subjects: {sub: nobody}", "there is no agent 'nobody' in this file"),
    ("hold_ttl_s: 60", "port: 8700", "18:18: treasury.port: 8700 is the port of gateway already"),
    (
        "http://127.0.0.1:9102",
        "ftp://host",
        "4:29: servers.search.url: must be a URL that begins with http://",
    ),
    (
        "http://127.0.0.1:9102",
        "http://a b",
        "4:29: servers.search.url: must be a URL that begins with http://",
    ),
    (
        "http://127.0.0.1:9102",
        "http://h:99999",
        "4:29: servers.search.url: must be a URL whose port, if it has",
    ),
    (
        "http://127.0.0.1:9102",
        "http://h:0/x",
        "4:29: servers.search.url: must be a URL whose port, if it has",
    ),
    ("http://127.0.0.1:9102", "http://h:x", "4:29: servers.search.url: must be a URL whose port, if it has"),
    (
        "http://127.0.0.1:9102",
        "http://u:p@h",
        "4:29: servers.search.url: the URL of a tool server has no user",
    ),
    (
        "http://127.0.0.1:9102",
        "http://h/#c",
        "4:29: servers.search.url: the URL of a tool server has no query",
    ),
    ('"http://127.0.0.1:9102"', "5", "4:29: servers.search.url: must be text"),
    ("https://idp/jwks", "idp/jwks", "13:15: issuers[0].jwks_url: must be a URL that begins with"),
    ("id: scout", "id: a b", "6:10: agents[0].id: must be at most 64 letters, digits, - and _, the first a"),
    ("role: executor", "role: Executor", "6:23: agents[0].role: must be at most 64 small letters"),
    (
        "  search:",
        "  se.arch:",
        "4:3: servers.'se.arch': must be at most 64 letters, digits, - and _, the first",
    ),
    ("port: 8700", "prot: 8700", "17:11: gateway.prot: unknown key; allowed here: accrual_interval_s, "),
    ("port: 8700", "prot: 8700", ", write_stall_s; did you mean port?"),
    (', url: "http://127.0.0.1:9102"', "", "4:11: servers.search: url is missing"),
    (
        'kind: http, url: "http://127.0.0.1:9102"',
        "kind: mcp, command: [time-server]",
        "4:32: servers.search.command: servers over stdio are not supported yet",
    ),
]


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(("right", "wrong", "told"), MISTAKES)
def test_a_mistake_is_told_by_file_line_and_what_is_allowed(
    folder: Path, right: str, wrong: str, told: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        read(folder, GOOD.replace(right, wrong))
    assert f"{folder / 'tollhouse.yaml'}:" in str(refused.value)
    assert told in str(refused.value)


@pytest.mark.requirement("OPS-04")
def test_what_is_allowed_is_listed_once(folder: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        read(folder, GOOD.replace("port: 8700", "prot: 8700, oops: 1") + "control: {oops: 1}\n")
    first, second, other = str(refused.value).splitlines()
    assert first.endswith(", write_stall_s; did you mean port?")
    assert second.endswith(":17:23: gateway.oops: unknown key; allowed here: what is listed at line 17")
    assert "control.oops: unknown key; allowed here: answer_s_max, " in other


@pytest.mark.requirement("OPS-04")
def test_a_policy_that_cannot_be_loaded_is_told_where_it_is_named(folder: Path) -> None:
    (folder / "rego").mkdir()
    config = read(folder, GOOD.replace("policy.yaml", "rego"))
    with pytest.raises(
        DocumentError, match=r"tollhouse\.yaml:16:9: policy: cannot be loaded: .* no file of Rego"
    ):
        compile_policy(config, folder / "bundle")


@pytest.mark.requirement("OPS-04")
def test_a_role_that_the_policy_does_not_know_is_told_where_it_stands(folder: Path) -> None:
    (folder / "policy.yaml").write_text('version: "1"\ncurrency: USD\nroles: {executor: {}}\n')
    [told] = compile_policy(read(folder, GOOD), folder / "bundle").warnings
    assert told.startswith(
        f"{folder}/tollhouse.yaml:7:23: agents[1].role: boss has the role executive, which "
    )


POLICY = """\
version: "1"
currency: USD
roles:
  executor:
    tools:
      - bank.pay
      - {name: bnak.pay}
      - approve_spend
      - "*.read"
      - "b*"
      - treasury.execute
      - mail.*
  executive:
    tools: [bnak.read, "search.GET /a.b"]
"""


@pytest.mark.requirement("OPS-04")
@pytest.mark.requirement("POL-02")
def test_a_tool_of_a_server_that_is_not_there_is_warned_of_once_a_server(folder: Path) -> None:
    (folder / "policy.yaml").write_text(POLICY)
    bnak, mail = compile_policy(read(folder, GOOD), folder / "bundle").warnings
    assert bnak == (
        f"{folder}/policy.yaml:7:9: roles.executor.tools[1]: tollhouse.yaml has no server 'bnak': until it "
        "has, nothing can be called by this (2 tools of it are named); it has bank, search"
    )
    assert mail.startswith(f"{folder}/policy.yaml:12:9: roles.executor.tools[6]: tollhouse.yaml has no ser")


@pytest.mark.requirement("OPS-04")
@pytest.mark.requirement("POL-02")
def test_a_tool_that_a_server_of_its_kind_cannot_have_is_warned_of_once_a_server(folder: Path) -> None:
    fine = ["search.*", "search.G*", "search.GET /x", "search.* /x", "bank.pay", "bank.GET*", "bank.*"]
    odd = ["search.flights", "search.fl-*", "search.GET x", "bank.GET /x", '"bank."']
    tools = "".join(f"      - {name}\n" for name in (*fine, *odd))
    (folder / "policy.yaml").write_text(
        f'version: "1"\ncurrency: USD\nroles:\n  executive: {{}}\n  executor:\n    tools:\n{tools}'
    )
    told = compile_policy(read(folder, GOOD), folder / "bundle").warnings
    assert [each.partition("executor.")[2] for each in told] == [
        "tools[11]: bank. names no tool: no call has this name",
        (
            "tools[7]: search is an HTTP server, whose tools are named by method and path, such as"
            " search.GET /path; nothing can be called by this (so are 2 more)"
        ),
        (
            "tools[10]: bank is an MCP server, whose tools have no method and path: bank.TOOL;"
            " nothing can be called by this"
        ),
    ]


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(
    ("servers", "told"),
    [(0, "; it has none"), (12, "; it has s00, s01, s02, s03, s04, s05, s06, s07, s08, s09 and 2 more")],
)
def test_the_servers_that_are_there_are_listed_in_a_readable_length(
    folder: Path, servers: int, told: str
) -> None:
    (folder / "policy.yaml").write_text('version: "1"\ncurrency: USD\nroles: {r: {tools: [x.y]}}\n')
    listed = "".join(f"  s{number:02}: {{kind: http, url: 'http://h'}}\n" for number in range(servers))
    config = read(folder, f"policy: policy.yaml\nservers:{' {}' if not servers else ''}\n{listed}")
    [warning] = compile_policy(config, folder / "bundle").warnings
    assert warning.endswith(told)


@pytest.mark.requirement("OPS-04")
def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"none\.yaml: there is no such file, .* with --config FILE$"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(DocumentError, match=rf"^{tmp_path}: cannot be read: Is a directory$"):
        read_config(tmp_path)
