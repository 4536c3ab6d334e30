-- Who may do what: the service inserts and reads, and changes states and budgets, never an entry;
-- the relay reads the outbox and marks what it published.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA treasury FROM public;

GRANT USAGE ON SCHEMA treasury TO tollhouse_treasury, tollhouse_relay;

GRANT EXECUTE ON FUNCTION treasury.check_entry(text, uuid) TO tollhouse_treasury;

GRANT SELECT ON ALL TABLES IN SCHEMA treasury TO tollhouse_treasury;

GRANT INSERT ON
treasury.workflows,
treasury.intents,
treasury.authorizations,
treasury.holds,
treasury.budgets,
treasury.hold_charges,
treasury.journal_entries,
treasury.postings,
treasury.executions,
treasury.idempotency,
treasury.outbox
TO tollhouse_treasury;

-- When a warrant was used is the database's word, not the service's.
GRANT INSERT (tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
ON treasury.warrants TO tollhouse_treasury;

-- PostgreSQL asks for UPDATE on some column before it lets a row be locked.
GRANT UPDATE (created_at) ON treasury.workflows TO tollhouse_treasury;

GRANT UPDATE (status) ON treasury.intents, treasury.authorizations TO tollhouse_treasury;

GRANT UPDATE (status, captured_cents) ON treasury.holds TO tollhouse_treasury;

GRANT UPDATE (limit_cents, held_cents, captured_cents) ON treasury.budgets TO tollhouse_treasury;

GRANT UPDATE (status, answer) ON treasury.idempotency TO tollhouse_treasury;

GRANT SELECT ON treasury.outbox TO tollhouse_relay;

GRANT UPDATE (published_at) ON treasury.outbox TO tollhouse_relay;
