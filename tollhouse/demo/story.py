"""The steps of the story. Each says what the agent tries and which outcome that must have."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from typing import Any
from uuid import uuid4

import httpx

from tollhouse.demo.agent import Agent, hired
from tollhouse.demo.narrator import Answer, Narrator
from tollhouse.demo.scene import Scene
from treasury.core.money import major

CURRENCY = "USD"
HEAL_S = 10.0
EVENTS_S = 10.0
POLL_S = 0.05


def dollars(amount_cents: int) -> str:
    """As `tollhouse ledger` prints amounts."""
    return major(amount_cents, CURRENCY)


class StoryDiffers(Exception):
    """A step had another outcome than the one that it announced."""


class Story:
    """One agent's day, told from the first call to the last entry."""

    def __init__(self, scene: Scene, narrator: Narrator) -> None:
        self.scene = scene
        self.narrator = narrator
        self.workflow_id = str(uuid4())

    async def tell(self) -> None:
        """All chapters in order; raises `StoryDiffers` at the first that does not hold."""
        differs: StoryDiffers | None = None
        async with hired(self.scene.gateway, self.scene.ready["agents"]["scout"]) as scout:
            try:
                for chapter in (self.tools, self.paid_tool, self.spends, self.policy_engine_dies, self.books):
                    await chapter(scout)
            except StoryDiffers as difference:
                differs = difference  # the MCP client would wrap it in groups of its own
        if differs is not None:
            raise differs

    def expect(self, intention: str, answer: Answer, outcome: str, status: int) -> None:
        """Tell the step, and stop the story unless it ended as announced."""
        self.narrator.step(intention, answer)
        if (answer.outcome, answer.status) != (outcome, status):
            raise StoryDiffers(f"{intention}: announced {status} {outcome}, got {answer}")

    async def tools(self, scout: Agent) -> None:
        """What the role may do, and what it may not."""
        self.narrator.chapter(
            "Scout is an executor. Policy says which tools that means, and with which arguments."
        )
        self.expect(
            "asks the bank for a balance",
            await scout.use_bank("get_balance", account="ACC-1"),
            "allowed",
            200,
        )
        self.expect(
            "searches flights over HTTP", await scout.get("/tools/search/flights", to="LIS"), "allowed", 200
        )
        closing = await scout.use_bank("close_account", account="ACC-1")
        self.expect("tries to close an account", closing, "tool_not_allowed", 200)
        sending = await scout.use_bank("send_money", amount=5000, account="ACC-7")
        self.expect("tries to send 5,000 dollars, where 500 is the limit", sending, "argument_refused", 200)
        stranger = Agent(self.scene.gateway, None, None, {})
        unknown = await stranger.get("/tools/search/flights", to="LIS")
        await stranger.http.aclose()
        self.expect("a stranger without a key searches flights", unknown, "token_missing", 401)

    async def paid_tool(self, scout: Agent) -> None:
        """A tool that costs money: held before the call, captured after it."""
        self.narrator.chapter("Sending money costs money: it is held before the call and captured after it.")
        paid = await scout.use_bank("send_money", amount=25, account="ACC-7", memo="deposit")
        self.expect("sends 25 dollars", paid, "allowed", 200)
        decision = (await scout.http.get(f"/v1/decisions/{paid.decision_id}")).json()
        entry = decision.get("journal_entry_id")
        if not entry:
            raise StoryDiffers(f"the paid call has no journal entry: {decision}")
        self.narrator.aside(f"captured by journal entry {entry}")

    async def spends(self, scout: Agent) -> None:
        """A spend is declared, permitted and executed; never above, never beyond."""
        self.narrator.chapter("A spend goes from intent through authorization to execution.")
        intent = await self.intend(scout, 5000)
        allowed, _ = await scout.spend("authorize", {"intent_id": intent})
        self.expect("asks for permission", allowed, "approved", 200)
        done, _ = await scout.spend("execute", {"intent_id": intent, "recipient_account": "ACC-vendor-42"})
        self.expect("pays the vendor", done, "executed", 200)
        await self.above_ceiling(scout)
        await self.beyond_budget(scout)

    async def above_ceiling(self, scout: Agent) -> None:
        """What was permitted is the most that can be spent."""
        intent = await self.intend(scout, 3000)
        allowed, _ = await scout.spend("authorize", {"intent_id": intent})
        self.expect("asks for permission", allowed, "approved", 200)
        order = {"intent_id": intent, "recipient_account": "ACC-vendor-42", "amount_cents": 4500}
        above, _ = await scout.spend("execute", order)
        self.expect("tries to pay 45 dollars of the 30 that it may", above, "spend_exceeds_ceiling", 403)
        released, _ = await scout.spend("void", {"intent_id": intent})
        self.expect("gives the permission back", released, "voided", 200)

    async def beyond_budget(self, scout: Agent) -> None:
        """A large spend waits for a person and keeps its money; the daily budget is the end."""
        waiting, _ = await scout.spend("authorize", self.order(9000))
        self.expect("asks for 90 dollars: policy wants a person to say yes", waiting, "pending", 200)
        refused, _ = await scout.spend("authorize", self.order(5000))
        self.expect("asks for 50 more: beyond the daily budget of 200", refused, "budget_exceeded", 200)
        budget = (await scout.http.get("/api/treasury/budgets")).json()["items"][0]
        self.narrator.aside(
            f"{budget['key']} today: limit {dollars(budget['limit_cents'])},"
            f" spent {dollars(budget['captured_cents'])}, held {dollars(budget['held_cents'])} {CURRENCY}"
        )

    async def intend(self, scout: Agent, amount_cents: int) -> str:
        """Declare a spend; its id."""
        created, intent = await scout.spend("intents", self.order(amount_cents) | {"currency": CURRENCY})
        self.expect(f"declares a payout of {amount_cents / 100:.0f} dollars", created, "intent_created", 201)
        return str(intent["id"])

    def order(self, amount_cents: int) -> dict[str, Any]:
        """A payout to the demo's vendor."""
        return {
            "workflow_id": self.workflow_id,
            "amount_cents": amount_cents,
            "purpose": "payout_vendor",
            "payee": "vendor-42",
            "policy_version": "1.0",
        }

    async def policy_engine_dies(self, scout: Agent) -> None:
        """No policy, no call; and it heals by itself."""
        self.narrator.chapter("The policy engine is killed. Whatever cannot be judged is refused.")
        os.kill(self.scene.ready["pids"]["opa"], signal.SIGKILL)
        calls = [scout.get("/tools/search/flights", to="LIS") for _ in range(3)]
        for number, answer in enumerate(await asyncio.gather(*calls), 1):
            self.expect(f"searches flights, call {number}", answer, "policy_unavailable", 503)
        async with asyncio.timeout(HEAL_S):
            while (healed := await scout.get("/tools/search/flights", to="LIS")).status == 503:
                await asyncio.sleep(POLL_S)
        self.expect("searches again, with the engine back", healed, "allowed", 200)

    async def books(self, scout: Agent) -> None:
        """Everything that happened is written down, and adds up."""
        self.narrator.chapter("Everything is on record.")
        self.narrator.table(["event", "at"], await self.event_trail())
        balance = (await scout.http.get("/api/treasury/trial-balance")).json()
        sums = [(item["account"], item) for item in balance["items"]] + [("total", balance)]
        rows = [
            [account, CURRENCY, dollars(each["debits_cents"]), dollars(each["credits_cents"])]
            for account, each in sums
        ]
        self.narrator.console.print()
        self.narrator.table(["account", "currency", "debits", "credits"], rows)
        if balance["balanced"] is not True:
            raise StoryDiffers(f"the books do not balance: {balance}")
        await self.verify()

    async def event_trail(self) -> list[list[str]]:
        """The events of this story's workflow, as the event stream kept them."""
        control, key = self.scene.ready["control"], self.scene.ready["operator_key"]
        wanted = {"treasury.intent_created", "treasury.authorized", "treasury.executed"}
        async with httpx.AsyncClient(
            base_url=control, headers={"Authorization": f"Bearer {key}"}
        ) as operator:
            async with asyncio.timeout(EVENTS_S):
                while True:
                    query = {"workflow_id": self.workflow_id, "limit": "100"}
                    events = (await operator.get("/v1/events", params=query)).json()["items"]
                    if wanted <= {event["event_type"] for event in events}:
                        break
                    await asyncio.sleep(POLL_S)
        kept = [event for event in events if event["event_type"].startswith("treasury.")]
        return [[event["event_type"], event["occurred_at"][11:23]] for event in kept]

    async def verify(self) -> None:
        """`tollhouse ledger verify`, as an operator would run it."""
        command = (sys.executable, "-m", "tollhouse", "ledger", "verify", "--data", str(self.scene.data))
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        said, _ = await process.communicate()
        self.narrator.console.print()
        self.narrator.aside("$ tollhouse ledger verify")
        self.narrator.aside(said.decode().strip())
        if process.returncode != 0:
            raise StoryDiffers("ledger verify found a difference")
