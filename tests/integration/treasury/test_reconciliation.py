"""A provider's statement held against the ledger: matched once, every break named, resolved by entries."""

from typing import Any

import asyncpg
import httpx
import pytest

from schemas.ids import new_id
from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury
from treasury.edge.verify import verify

pytestmark = pytest.mark.requirement("TRE-07")

PATH = "/v1/reconciliations"


async def ask(
    treasury: Treasury, method: str, path: str, document: Any = None, **headers: str
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"} | headers
    return await treasury.http.request(method, path, json=document, headers=headers)


def line(reference: str, amount_cents: int = 5000, currency: str = "USD", **more: Any) -> dict[str, Any]:
    return {"reference": reference, "amount_cents": amount_cents, "currency": currency} | more


async def reconciled(treasury: Treasury, *lines: dict[str, Any], provider: str = "bank") -> dict[str, Any]:
    answer = await ask(treasury, "POST", PATH, {"provider": provider, "lines": list(lines)})
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


async def executed(treasury: Treasury, spend: Spend | None = None) -> dict[str, Any]:
    spend = spend or Spend(payee="bank")
    await treasury.gateway.spend(spend)
    answer = await treasury.gateway.execute(spend, account="bank")
    assert answer.status_code == 200
    return dict(answer.json())


async def paid_call(treasury: Treasury, amount_cents: int = 5000) -> dict[str, Any]:
    """A paid call whose outcome nobody knows."""
    authorization = (
        await treasury.gateway.spend(Spend(amount_cents, payee="bank"), unsettled="unknown")
    ).json()
    await treasury.gateway.post(f"/v1/holds/{authorization['hold_id']}/unknown", {})
    return dict(authorization)


async def sound(treasury: Treasury) -> None:
    connection = await asyncpg.connect(treasury.database.admin)
    assert await verify(connection) == []
    await connection.close()


def kinds(answer: dict[str, Any]) -> list[str]:
    return sorted(found["kind"] for found in answer["breaks"])


async def test_lines_are_matched_by_every_id_of_a_spend(treasury_service: Treasury) -> None:
    names = ("id", "intent_id", "authorization_id", "journal_entry_id")
    spends = [(await executed(treasury_service))[name] for name in names]
    answer = await reconciled(treasury_service, *map(line, spends))
    assert (answer["matched"], answer["breaks"]) == (4, [])
    decision_id = new_id()
    spend = Spend(payee="bank")
    await treasury_service.gateway.spend(spend, decision_id=decision_id)
    await treasury_service.gateway.execute(spend, account="bank")
    assert (await reconciled(treasury_service, line(decision_id.upper())))["matched"] == 1
    await sound(treasury_service)


async def test_parts_are_matched_one_by_one_or_together(treasury_service: Treasury) -> None:
    gateway, parts, whole = treasury_service.gateway, Spend(payee="bank"), Spend(payee="bank")
    for spend in (parts, whole):
        await gateway.spend(spend)
        for amount_cents in (2000, 3000):
            await gateway.execute(spend, amount_cents, account="bank")
    answer = await reconciled(
        treasury_service, line(parts.id, 3000), line(parts.id, 2000), line(whole.id, 5000)
    )
    assert (answer["matched"], answer["breaks"]) == (3, [])


async def test_every_kind_of_break_is_named(treasury_service: Treasury) -> None:
    known, twice, missing, other, dear = [await executed(treasury_service) for _ in range(5)]
    answer = await reconciled(
        treasury_service,
        line(known["id"]),
        line(twice["id"]),
        line(twice["id"]),
        line("ch_unknown", 700),
        line(other["id"], currency="EUR"),
        line(dear["id"], 6000),
    )
    assert answer["matched"] == 2
    told = {found["kind"]: found for found in answer["breaks"]}
    assert kinds(answer) == [
        "amount_differs",
        "currency_differs",
        "duplicate_line",
        "missing_in_ledger",
        "missing_in_statement",
    ]
    assert (told["missing_in_statement"]["reference"], told["missing_in_statement"]["line"]) == (
        missing["id"],
        None,
    )
    assert (told["missing_in_ledger"]["reference"], told["missing_in_ledger"]["amount_cents"]) == (
        "ch_unknown",
        700,
    )
    assert (told["amount_differs"]["amount_cents"], told["amount_differs"]["ledger_cents"]) == (6000, 5000)
    assert told["missing_in_ledger"]["hold_id"] is None
    assert told["amount_differs"]["hold_id"]


async def test_the_same_statement_matches_nothing_twice(treasury_service: Treasury) -> None:
    spend, late = await executed(treasury_service), await executed(treasury_service)
    lines = [line(spend["id"], at="2026-11-20T10:00:00Z", id="txn_1"), line("nobody", id="txn_2")]
    first = await reconciled(treasury_service, *lines)
    assert await reconciled(treasury_service, *lines) == first
    longer = await reconciled(treasury_service, *lines, line(late["id"], id="txn_3"))
    assert (longer["matched"], longer["repeated"], longer["breaks"]) == (1, 2, [])
    assert longer["id"] != first["id"]
    again = await reconciled(treasury_service, line(spend["id"], id="txn_4"))
    assert (again["matched"], kinds(again)) == (0, ["duplicate_line"])
    listing = (await ask(treasury_service, "GET", PATH, None)).json()
    assert [item["id"] for item in listing["items"]] == [again["id"], longer["id"], first["id"]]
    assert await treasury_service.sql("SELECT count(*) FROM treasury.matched_executions") == [(2,)]


async def test_a_line_without_id_or_time_that_comes_again_is_a_break(treasury_service: Treasury) -> None:
    spend = await executed(treasury_service)
    await reconciled(treasury_service, line(spend["id"]))
    again = await reconciled(treasury_service, line(spend["id"]), line("x"))
    assert kinds(again) == ["duplicate_line", "missing_in_ledger"]


async def test_an_unknown_outcome_is_settled_by_its_line(treasury_service: Treasury) -> None:
    call = await paid_call(treasury_service)
    answer = await reconciled(treasury_service, line(call["hold_id"], 4000))
    assert (answer["matched"], answer["settled"], answer["breaks"]) == (1, 1, [])
    (hold,) = (await treasury_service.gateway.get("/v1/holds")).json()["items"]
    assert (hold["status"], hold["captured_cents"]) == ("captured", 4000)
    (budget,) = (await treasury_service.gateway.get("/v1/budgets")).json()["items"]
    assert (budget["held_cents"], budget["captured_cents"]) == (0, 4000)
    again = await reconciled(treasury_service, line(call["hold_id"], 4000, id="txn_2"))
    assert kinds(again) == ["duplicate_line"]
    await sound(treasury_service)


@pytest.mark.parametrize(
    ("action", "status", "captured"), [("void", "voided", 0), ("capture", "captured", 5000)]
)
async def test_an_unknown_outcome_that_no_line_tells_is_resolved_by_an_operator(
    treasury_service: Treasury, action: str, status: str, captured: int
) -> None:
    call = await paid_call(treasury_service)
    answer = await reconciled(treasury_service, line("other", 1))
    (broken,) = [found for found in answer["breaks"] if found["kind"] == "missing_in_statement"]
    assert broken["hold_id"] == call["hold_id"]
    resolve = f"{PATH}/{answer['id']}/breaks/{broken['id']}/resolve"
    assert (await ask(treasury_service, "POST", resolve, {"action": action})).status_code == 200
    (hold,) = (await treasury_service.gateway.get("/v1/holds")).json()["items"]
    assert (hold["status"], hold["captured_cents"]) == (status, captured)
    await sound(treasury_service)


async def test_more_than_an_unknown_hold_holds_is_a_break(treasury_service: Treasury) -> None:
    call, foreign = await paid_call(treasury_service), await paid_call(treasury_service)
    answer = await reconciled(
        treasury_service, line(call["hold_id"], 5001), line(foreign["hold_id"], 5000, "EUR")
    )
    assert (kinds(answer), answer["settled"]) == (["amount_differs", "currency_differs"], 0)
    for broken in answer["breaks"]:
        resolve = f"{PATH}/{answer['id']}/breaks/{broken['id']}/resolve"
        assert (await ask(treasury_service, "POST", resolve, {"action": "capture"})).status_code == 200
    await sound(treasury_service)


async def test_breaks_are_resolved_by_compensating_entries(treasury_service: Treasury) -> None:
    dear, missing = await executed(treasury_service), await executed(treasury_service)
    answer = await reconciled(treasury_service, line(dear["id"], 6000), line("ch_1", 700))
    ids = {found["kind"]: found["id"] for found in answer["breaks"]}

    async def resolve(kind: str, action: str, note: str = "") -> httpx.Response:
        path = f"{PATH}/{answer['id']}/breaks/{ids[kind]}/resolve"
        return await ask(treasury_service, "POST", path, {"action": action, "note": note})

    corrected = (await resolve("amount_differs", "correct", "the fee was left out")).json()
    assert (corrected["status"], corrected["resolved_by"], corrected["action"], corrected["note"]) == (
        "resolved",
        "olga",
        "correct",
        "the fee was left out",
    )
    assert len(corrected["journal_entry_ids"]) == 2
    assert len((await resolve("missing_in_statement", "reverse")).json()["journal_entry_ids"]) == 1
    assert len((await resolve("missing_in_ledger", "post")).json()["journal_entry_ids"]) == 1
    sums = (await ask(treasury_service, "GET", "/v1/trial-balance")).json()
    assert {item["account"]: item["debits_cents"] - item["credits_cents"] for item in sums["items"]} == {
        "bank": 6700,
        "tollhouse:operating": -6700,
    }
    twice = await resolve("missing_in_ledger", "post")
    assert (twice.status_code, twice.json()["code"]) == (409, "duplicate")
    await sound(treasury_service)
    now = (await ask(treasury_service, "GET", f"{PATH}/{answer['id']}")).json()
    assert {found["status"] for found in now["breaks"]} == {"resolved"}
    late = await reconciled(treasury_service, line(missing["id"], id="txn_late"))
    assert kinds(late) == ["missing_in_ledger"]
    types = await treasury_service.sql(
        "SELECT event ->> 'event_type' FROM treasury.outbox WHERE workflow_id = $1", answer["id"]
    )
    assert sorted(row[0] for row in types) == ["treasury.break_resolved"] * 3 + ["treasury.reconciled"]


async def test_what_does_not_go_with_a_break_is_refused(treasury_service: Treasury) -> None:
    answer = await reconciled(treasury_service, line("ch_1"))
    path = f"{PATH}/{answer['id']}/breaks/{answer['breaks'][0]['id']}/resolve"
    refused = await ask(treasury_service, "POST", path, {"action": "reverse"})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "action"])
    missing = await ask(
        treasury_service, "POST", f"{PATH}/{answer['id']}/breaks/{new_id()}/resolve", {"action": "accept"}
    )
    assert missing.status_code == 404
    assert (await ask(treasury_service, "GET", f"{PATH}/{new_id()}")).status_code == 404
    assert (await ask(treasury_service, "POST", path, {"action": "accept"})).json()["journal_entry_ids"] == []


async def test_a_statement_with_one_bad_line_imports_nothing(treasury_service: Treasury) -> None:
    spend = await executed(treasury_service)
    document = {"provider": "bank", "lines": [line(spend["id"]), line("x", -5), line("y", 1, "XXX")]}
    answer = await ask(treasury_service, "POST", PATH, document)
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["detail"]] == [
        ["body", "lines", 1, "amount_cents"],
        ["body", "lines", 2, "currency"],
    ]
    assert await treasury_service.sql("SELECT count(*) FROM treasury.statement_lines") == [(0,)]


async def test_only_an_operator_imports_and_a_tenant_sees_its_own(treasury_service: Treasury) -> None:
    document = {"provider": "bank", "lines": [line("x")]}
    answer = await treasury_service.gateway.post(PATH, document)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    treasury_service.other_gateway.tenant = "globex"
    spend = Spend(payee="bank")
    await treasury_service.other_gateway.spend(spend)
    await treasury_service.other_gateway.execute(spend, account="bank")
    assert kinds(await reconciled(treasury_service, line(spend.id))) == ["missing_in_ledger"]


@pytest.mark.parametrize("treasury_settings", [{"statement_lines_max": 2, "sweep_interval_ms": 20}])
async def test_a_statement_has_its_limits(treasury_service: Treasury) -> None:
    document = {"provider": "bank", "lines": [line(str(number)) for number in range(3)]}
    assert (await ask(treasury_service, "POST", PATH, document)).status_code == 422
    document["lines"] = []
    assert (await ask(treasury_service, "POST", PATH, document)).status_code == 422


async def test_a_long_statement_is_taken_whole(treasury_service: Treasury) -> None:
    spend = await executed(treasury_service)
    lines = [line(f"ch_{number}", at="2099-01-01T00:00:00Z") for number in range(999)]
    answer = await reconciled(treasury_service, *lines, line(spend["id"]))
    assert (answer["matched"], len(answer["breaks"])) == (1, 999)


async def test_the_period_bounds_what_is_missed(treasury_service: Treasury) -> None:
    await executed(treasury_service)
    document = {"provider": "bank", "lines": [line("x")], "until": "2020-01-01T00:00:00Z"}
    assert kinds((await ask(treasury_service, "POST", PATH, document)).json()) == ["missing_in_ledger"]
    document = {"provider": "bank", "lines": [line("y")], "since": "2099-01-01T00:00:00Z"}
    assert kinds((await ask(treasury_service, "POST", PATH, document)).json()) == ["missing_in_ledger"]
    assert kinds(await reconciled(treasury_service, line("z"))) == [
        "missing_in_ledger",
        "missing_in_statement",
    ]
    assert kinds(await reconciled(treasury_service, line("w"))) == ["missing_in_ledger"]


REVERSAL = """
WITH entry AS (
    INSERT INTO treasury.journal_entries
        (tenant_id, id, workflow_id, authorization_id, amount_cents, currency, kind, reverses_id)
    SELECT tenant_id, $1, workflow_id, authorization_id, amount_cents, currency, $2, $3
    FROM treasury.journal_entries LIMIT 1
),
resolved AS (
    INSERT INTO treasury.break_entries (tenant_id, journal_entry_id, break_id, amount_cents)
    SELECT tenant_id, $1, id, 5000 FROM treasury.breaks WHERE $4 LIMIT 1
)
INSERT INTO treasury.postings (
    tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents, currency
)
SELECT tenant_id, uuidv7(), $1, workflow_id, authorization_id, account, direction, amount_cents, currency
FROM treasury.postings WHERE journal_entry_id = $5
"""


@pytest.mark.requirement("TRE-08")
@pytest.mark.requirement("TRE-10")
@pytest.mark.parametrize(
    ("kind", "reverses", "names_a_break", "why"),
    [
        ("adjustment", False, False, "resolves no break"),
        ("reversal", True, False, "resolves no break"),
        ("reversal", True, True, "is not the reversal of"),
        ("reversal", False, True, "reversal_names_its_entry"),
        ("top_up", False, False, "has no top-up"),
        ("payment", False, True, "no execution behind it"),
        ("gift", False, True, "entry_kind"),
    ],
)
async def test_the_database_refuses_entries_with_nothing_behind_them(
    treasury_service: Treasury, kind: str, reverses: bool, names_a_break: bool, why: str
) -> None:
    spend = await executed(treasury_service)
    await reconciled(treasury_service, line("ch_1", 5000), line(spend["id"]))
    connection = await asyncpg.connect(treasury_service.database.treasury)
    entry = spend["journal_entry_id"]
    with pytest.raises(asyncpg.PostgresError, match=why):
        await connection.execute(REVERSAL, new_id(), kind, entry if reverses else None, names_a_break, entry)
    for table in ("statement_lines", "matched_executions", "break_entries", "reconciliations"):
        with pytest.raises(asyncpg.PostgresError, match=r"permission denied|append only"):
            await connection.execute(f"DELETE FROM treasury.{table}")
    await connection.close()
    await sound(treasury_service)


async def test_an_entry_is_reversed_once(treasury_service: Treasury) -> None:
    await executed(treasury_service)
    answer = await reconciled(treasury_service, line("x"))
    (broken,) = [found for found in answer["breaks"] if found["kind"] == "missing_in_statement"]
    path = f"{PATH}/{answer['id']}/breaks/{broken['id']}/resolve"
    await ask(treasury_service, "POST", path, {"action": "reverse"})
    with pytest.raises(asyncpg.UniqueViolationError, match="one_reversal"):
        await treasury_service.sql(
            "INSERT INTO treasury.journal_entries SELECT tenant_id, uuidv7(), workflow_id, authorization_id,"
            " amount_cents, currency, posted_at, kind, reverses_id FROM treasury.journal_entries"
            " WHERE kind = 'reversal'"
        )
