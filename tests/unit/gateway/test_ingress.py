"""The head of a request: what is refused, what is dropped, what is passed on."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Settings
from gateway.edge.ingress import Header, Request, disposition
from gateway.errors import BadRequest, Refusal, Unauthenticated

SETTINGS = Settings(registry_file=Path("registry.json"), journal_dir=Path("journal"), header_count_max=20)
HOST = (b"host", b"gateway")
IDENTITY_HEADERS = (
    (
        "x-agent-id X-Agent x-user x-user-id x-role x-tenant x-tenant-id x-principal x-forwarded-for"
        " x-forwarded-host x-forwarded-user forwarded x-tollhouse-role x-client-cert ssl-client-cert"
        " x-auth-user"
        " x-real-ip cookie remote-user x-http-method-override x-original-url proxy-authorization x-spiffe-id"
    )
    .lower()
    .split()
)


async def never() -> dict[str, Any]:
    raise AssertionError("nothing is read here")


def request(*headers: Header, method: str = "GET") -> Request:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "method": method,
        "raw_path": b"/tools/x/",
        "query_string": b"",
        "headers": list(headers),
        "sent": sent,
    }
    return Request(scope, never, send, SETTINGS)


def checked(*headers: Header, method: str = "GET") -> Request:
    made = request(HOST, *headers, method=method)
    made.check()
    return made


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize("name", IDENTITY_HEADERS)
@given(data=st.data())
def test_no_header_claims_an_identity(name: str, data: st.DataObject) -> None:
    spelled = "".join(data.draw(st.sampled_from("-_")) if char == "-" else char for char in name)
    assert checked((spelled.encode(), b"root")).headers == []


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize(
    "name", [b"authorization", b"x-api-key", b"x_api_key", b"x-decision-id", b"content_length"]
)
def test_credentials_and_ids_are_not_passed_on(name: bytes) -> None:
    assert disposition(name) != "pass"


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    "name", [b"mcp_session_id", b"content_type", b"idempotency_key", b"x_own", b"_", b"transfer_encoding"]
)
def test_a_header_with_an_underscore_is_not_passed_on(name: bytes) -> None:
    assert checked((name, b"1")).headers == []


@pytest.mark.requirement("GW-20")
def test_trace_context_and_ordinary_headers_are_passed_on() -> None:
    headers = [(b"traceparent", b"00-1-2-01"), (b"tracestate", b"a=b"), (b"accept", b"*/*")]
    assert checked(*headers).headers == headers


@pytest.mark.requirement("GW-04")
def test_hop_by_hop_headers_are_dropped_also_those_that_the_caller_names() -> None:
    made = checked(
        (b"connection", b"keep-alive, X-Mine"), (b"x-mine", b"1"), (b"te", b"trailers"), (b"a", b"b")
    )
    assert made.headers == [(b"a", b"b")]


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HOST, HOST],
        [(b"host", b"")],
        [HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"content-length", b"1"), (b"content-length", b"1")],
        [HOST, (b"content-length", b"+1")],
        [HOST, (b"content-length", b"1 ")],
        [HOST, (b"transfer-encoding", b"gzip, chunked")],
        [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"upgrade", b"websocket")],
        [HOST, (b"connection", b"content-type")],
        [HOST, (b"connection", b"Content-Length")],
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(headers: list[Header]) -> None:
    with pytest.raises(BadRequest) as refused:
        request(*headers).check()
    assert refused.value.code == "malformed"


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("headers", [[(b"a", b"")] * 20, [(b"a", b"b" * 40_000)]])
def test_too_many_headers_are_refused(headers: list[Header]) -> None:
    with pytest.raises(BadRequest) as refused:
        request(HOST, *headers).check()
    assert refused.value.code == "headers_too_large"


@pytest.mark.requirement("GW-13")
def test_a_tunnel_is_refused() -> None:
    with pytest.raises(BadRequest):
        request(HOST, method="CONNECT").check()


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer a"), (b"x-api-key", b"a")],
        [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")],
        [(b"x-api-key", b"a"), (b"x-api-key", b"b")],
        [(b"authorization", b"Basic a")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer a b")],
        [(b"authorization", b"Bearer \xff")],
        [(b"x-api-key", b"")],
    ],
)
def test_one_credential_or_none(headers: list[Header]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        request(HOST, *headers).check()
    assert refused.value.code == "token_invalid"


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize(
    "header", [(b"authorization", b"Bearer key"), (b"authorization", b"bEARER key"), (b"x-api-key", b"key")]
)
def test_a_credential_comes_in_one_of_two_headers(header: Header) -> None:
    assert checked(header).credential.bearer == "key"
    assert checked().credential.bearer is None


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize("given_id", [b"a", b"0af7-x.y_z", b"a" * 128])
def test_a_well_formed_correlation_id_is_kept(given_id: bytes) -> None:
    assert checked((b"x-correlation-id", given_id)).correlation_id == given_id.decode()


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize("given_id", [b"", b"a b", b"-a", b"a" * 129, b"a\xff", b'"'])
def test_another_is_replaced_even_when_the_request_is_refused(given_id: bytes) -> None:
    made = request((b"x-correlation-id", given_id))
    with pytest.raises(Refusal):
        made.check()
    assert len(made.correlation_id) == 36


def test_a_header_that_is_asked_for_stands_there_once() -> None:
    made = checked((b"accept", b"a"), (b"accept", b"b"), (b"content-type", b"c"))
    assert made.header(b"content-type") == b"c"
    assert made.header(b"absent") is None
    with pytest.raises(BadRequest):
        made.header(b"accept")


def test_a_workflow_is_named_by_its_uuid() -> None:
    given_id = b"01A1FDF7-437C-786B-A932-CA84B6A09DF5"
    assert checked((b"x-workflow-id", given_id)).workflow_id == given_id.decode().lower()


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([(b"x-workflow-id", b"7")], "invalid"),
        ([(b"x-workflow-id", b"7"), (b"x-workflow-id", b"7")], "malformed"),
    ],
)
def test_a_workflow_that_is_none_is_refused_once_its_caller_is_known(
    headers: list[Header], code: str
) -> None:
    made = checked(*headers)
    assert made.workflow_id == ""
    with pytest.raises(BadRequest) as refused:
        made.check_workflow()
    assert refused.value.code == code
    assert "X-Workflow-Id" in str(refused.value.detail)
    checked().check_workflow()


async def test_refusals_have_one_shape_and_their_headers() -> None:
    made = checked()
    await made.answer_refusal(Refusal("policy_unavailable", "gone", retry_after_s=3))
    start, body = made.scope["sent"]
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"3"
    assert body["body"] == (
        b'{"code":"policy_unavailable","detail":"gone","correlation_id":"%b"}' % made.correlation_id.encode()
    )
    unknown = checked()
    await unknown.answer_refusal(Unauthenticated("token_missing", "who?"))
    assert dict(unknown.scope["sent"][0]["headers"])[b"www-authenticate"] == b"Bearer"
