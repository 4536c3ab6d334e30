"""The ledger service. The path of money, told by its files:

    core/intent         somebody declares a spend
    core/warrant        the gateway's signed word, checked: what policy said about exactly this intent
    core/budget         the budgets to charge have room, or the spend is denied and the denial kept
    core/authorization  pending → approved | denied | expired; the money is held meanwhile
    core/execution      a hold is captured, whole or in part, at most what was authorized
    core/posting        what was captured becomes a journal entry, balanced by construction
    core/ruling         what the rules say to one command; core/batch decides many in the order of arrival
    edge/outbox         what happened is told in the same commit; `relay` publishes it

The core is pure: values in, values or a `Refused` out. The edges: `edge/api` (HTTP), `edge/batch` (who goes
together), `edge/ledger` (one database transaction a batch), `edge/sweep` (expiry), `edge/verify` (recomputes
everything). The database refuses what must never be, whoever asks (sql/migrations/0002 and 0005).
"""
