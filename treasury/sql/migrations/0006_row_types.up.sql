-- Rows on their way in: one array of these a table, so that a statement writes any number of commands.

CREATE TYPE treasury.new_warrant AS (
    tenant_id text,
    id uuid,
    gateway text,
    act text,
    intent_id uuid,
    decision_id text,
    expires_at timestamptz
);

CREATE TYPE treasury.new_intent AS (
    tenant_id text,
    id uuid,
    workflow_id uuid,
    amount_cents bigint,
    currency text,
    purpose text,
    payee text,
    principal text,
    policy_version text,
    status text,
    created_at timestamptz
);

CREATE TYPE treasury.new_authorization AS (
    tenant_id text,
    id uuid,
    intent_id uuid,
    workflow_id uuid,
    warrant_id uuid,
    principal text,
    role text,
    status text,
    reasons text,
    ceiling_cents bigint,
    currency text,
    decision_id text,
    policy_version text,
    policy_revision text,
    approval_role text
);

CREATE TYPE treasury.new_hold AS (
    tenant_id text,
    id uuid,
    authorization_id uuid,
    workflow_id uuid,
    principal text,
    gateway text,
    amount_cents bigint,
    currency text,
    unsettled text,
    placed_at timestamptz,
    expires_at timestamptz
);

CREATE TYPE treasury.new_charge AS (
    tenant_id text,
    hold_id uuid,
    budget_key text,
    budget_window text,
    window_start timestamptz,
    currency text
);

-- An execution with its journal entry and both postings.
CREATE TYPE treasury.new_execution AS (
    tenant_id text,
    id uuid,
    hold_id uuid,
    authorization_id uuid,
    workflow_id uuid,
    journal_entry_id uuid,
    debit_id uuid,
    credit_id uuid,
    amount_cents bigint,
    currency text,
    debited text,
    credited text,
    at timestamptz
);

CREATE TYPE treasury.changed_status AS (
    tenant_id text,
    id uuid,
    status text
);

CREATE TYPE treasury.changed_hold AS (
    tenant_id text,
    id uuid,
    status text,
    captured_cents bigint
);

CREATE TYPE treasury.budget_state AS (
    tenant_id text,
    budget_key text,
    budget_window text,
    window_start timestamptz,
    currency text,
    limit_cents bigint,
    held_cents bigint,
    captured_cents bigint
);

CREATE TYPE treasury.kept_answer AS (
    tenant_id text,
    key text,
    request_sha256 text,
    status integer,
    answer text
);

CREATE TYPE treasury.new_event AS (
    tenant_id text,
    event_id uuid,
    workflow_id uuid,
    ordinal integer,
    event text
);
