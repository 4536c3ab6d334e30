-- The ledger's tables. Every key begins with the tenant; ids are UUIDv7, so there is no sequence.
-- Money is a whole number of minor units from 1 to 2^53 - 1, with its ISO 4217 currency.

CREATE DOMAIN treasury.amount_cents AS bigint
CHECK (value BETWEEN 1 AND 9007199254740991);

CREATE DOMAIN treasury.currency AS text
CHECK (value ~ '^[A-Z]{3}$');

-- Which state may follow which. '' stands for "not there yet". The service knows the same table.
CREATE TABLE treasury.transitions (
    noun text NOT NULL,
    from_status text NOT NULL,
    to_status text NOT NULL,
    PRIMARY KEY (noun, from_status, to_status)
);

INSERT INTO treasury.transitions (noun, from_status, to_status) VALUES
('intent', '', 'intent_created'),
('intent', 'intent_created', 'pending'),
('intent', 'intent_created', 'authorized'),
('intent', 'intent_created', 'denied'),
('intent', 'pending', 'authorized'),
('intent', 'pending', 'denied'),
('intent', 'pending', 'expired'),
('intent', 'pending', 'voided'),
('intent', 'authorized', 'executed'),
('intent', 'authorized', 'voided'),
('intent', 'authorized', 'expired'),
('intent', 'denied', 'pending'),
('intent', 'denied', 'authorized'),
('intent', 'expired', 'pending'),
('intent', 'expired', 'authorized'),
('intent', 'expired', 'denied'),
('intent', 'voided', 'pending'),
('intent', 'voided', 'authorized'),
('intent', 'voided', 'denied'),
('authorization', '', 'pending'),
('authorization', '', 'approved'),
('authorization', '', 'denied'),
('authorization', 'pending', 'approved'),
('authorization', 'pending', 'denied'),
('authorization', 'pending', 'expired'),
('authorization', 'pending', 'voided'),
('authorization', 'approved', 'executed'),
('authorization', 'approved', 'voided'),
('authorization', 'approved', 'expired'),
('hold', '', 'placed'),
('hold', 'placed', 'captured'),
('hold', 'placed', 'voided'),
('hold', 'placed', 'expired'),
('hold', 'placed', 'unknown'),
('hold', 'unknown', 'captured'),
('hold', 'unknown', 'voided');

CREATE TABLE treasury.workflows (
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE treasury.intents (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    purpose text NOT NULL CHECK (purpose <> ''),
    payee text NOT NULL,
    principal text NOT NULL CHECK (principal <> ''),
    policy_version text,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, id, workflow_id, currency),
    FOREIGN KEY (tenant_id, workflow_id) REFERENCES treasury.workflows (tenant_id, id)
);

CREATE INDEX intents_of_workflow ON treasury.intents (tenant_id, workflow_id);

-- Every warrant that was ever used: a nonce is good once.
CREATE TABLE treasury.warrants (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    gateway text NOT NULL,
    act text NOT NULL CHECK (act IN ('authorize', 'execute', 'void')),
    intent_id uuid NOT NULL,
    decision_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE treasury.authorizations (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    intent_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    warrant_id uuid NOT NULL,
    principal text NOT NULL,
    role text NOT NULL,
    status text NOT NULL,
    reasons jsonb NOT NULL,
    ceiling_cents bigint NOT NULL CHECK (ceiling_cents BETWEEN 0 AND 9007199254740991),
    currency treasury.currency NOT NULL,
    decision_id text NOT NULL,
    policy_version text NOT NULL,
    policy_revision text NOT NULL,
    approval_role text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, warrant_id),
    UNIQUE (tenant_id, id, workflow_id, currency),
    FOREIGN KEY (tenant_id, intent_id, workflow_id, currency)
    REFERENCES treasury.intents (tenant_id, id, workflow_id, currency),
    FOREIGN KEY (tenant_id, warrant_id) REFERENCES treasury.warrants (tenant_id, id)
);

CREATE UNIQUE INDEX one_live_authorization ON treasury.authorizations (tenant_id, intent_id)
WHERE status IN ('pending', 'approved', 'executed');

CREATE INDEX authorizations_of_intent ON treasury.authorizations (tenant_id, intent_id, created_at);

CREATE TABLE treasury.holds (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    authorization_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    principal text NOT NULL,
    gateway text NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    captured_cents bigint NOT NULL DEFAULT 0,
    currency treasury.currency NOT NULL,
    status text NOT NULL,
    unsettled text NOT NULL CHECK (unsettled IN ('release', 'unknown')),
    placed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, authorization_id),
    UNIQUE (tenant_id, id, authorization_id, workflow_id, currency),
    CHECK (captured_cents BETWEEN 0 AND amount_cents),
    FOREIGN KEY (tenant_id, authorization_id, workflow_id, currency)
    REFERENCES treasury.authorizations (tenant_id, id, workflow_id, currency)
);

CREATE INDEX holds_by_status ON treasury.holds (tenant_id, status, id);

CREATE INDEX holds_to_expire ON treasury.holds (expires_at) WHERE status = 'placed';

CREATE INDEX holds_of_workflow ON treasury.holds (tenant_id, workflow_id);

-- The state of budgets; their limits come with the warrants, the latest is kept here.
CREATE TABLE treasury.budgets (
    tenant_id text NOT NULL,
    budget_key text NOT NULL CHECK (budget_key <> ''),
    budget_window text NOT NULL CHECK (budget_window IN ('hour', 'day', 'month', 'lifetime')),
    window_start timestamptz NOT NULL,
    currency treasury.currency NOT NULL,
    limit_cents bigint NOT NULL CHECK (limit_cents >= 0),
    held_cents bigint NOT NULL CHECK (held_cents >= 0),
    captured_cents bigint NOT NULL CHECK (captured_cents >= 0),
    PRIMARY KEY (tenant_id, budget_key, budget_window, window_start, currency)
);

-- Which budgets a hold was charged to, in the window in which it was placed.
CREATE TABLE treasury.hold_charges (
    tenant_id text NOT NULL,
    hold_id uuid NOT NULL,
    budget_key text NOT NULL,
    budget_window text NOT NULL,
    window_start timestamptz NOT NULL,
    currency treasury.currency NOT NULL,
    PRIMARY KEY (tenant_id, hold_id, budget_key, budget_window),
    FOREIGN KEY (tenant_id, hold_id) REFERENCES treasury.holds (tenant_id, id),
    FOREIGN KEY (tenant_id, budget_key, budget_window, window_start, currency)
    REFERENCES treasury.budgets (tenant_id, budget_key, budget_window, window_start, currency)
);

CREATE INDEX charges_of_budget
ON treasury.hold_charges (tenant_id, budget_key, budget_window, window_start, currency);

-- An entry is posted for an authorization of a workflow, and says itself how much it moves.
CREATE TABLE treasury.journal_entries (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    authorization_id uuid NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, id, workflow_id, authorization_id, currency),
    FOREIGN KEY (tenant_id, authorization_id, workflow_id, currency)
    REFERENCES treasury.authorizations (tenant_id, id, workflow_id, currency)
);

CREATE TABLE treasury.postings (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    journal_entry_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    authorization_id uuid NOT NULL,
    account text NOT NULL CHECK (account <> ''),
    direction text NOT NULL CHECK (direction IN ('debit', 'credit')),
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, journal_entry_id, workflow_id, authorization_id, currency)
    REFERENCES treasury.journal_entries (tenant_id, id, workflow_id, authorization_id, currency)
);

CREATE INDEX postings_of_entry ON treasury.postings (tenant_id, journal_entry_id);

CREATE INDEX postings_of_account ON treasury.postings (tenant_id, account, posted_at, id);

CREATE INDEX postings_of_workflow ON treasury.postings (tenant_id, workflow_id, posted_at, id);

-- Sums of the postings, kept by the database itself.
CREATE TABLE treasury.account_balances (
    tenant_id text NOT NULL,
    account text NOT NULL,
    currency treasury.currency NOT NULL,
    debits_cents numeric(38, 0) NOT NULL,
    credits_cents numeric(38, 0) NOT NULL,
    PRIMARY KEY (tenant_id, account, currency)
);

CREATE TABLE treasury.executions (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    hold_id uuid NOT NULL,
    authorization_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    journal_entry_id uuid NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    recipient_account text NOT NULL,
    executed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, journal_entry_id),
    FOREIGN KEY (tenant_id, hold_id, authorization_id, workflow_id, currency)
    REFERENCES treasury.holds (tenant_id, id, authorization_id, workflow_id, currency),
    FOREIGN KEY (tenant_id, journal_entry_id, workflow_id, authorization_id, currency)
    REFERENCES treasury.journal_entries (tenant_id, id, workflow_id, authorization_id, currency)
);

CREATE INDEX executions_of_hold ON treasury.executions (tenant_id, hold_id);

-- The answer to every write, so that asking again gets it again.
CREATE TABLE treasury.idempotency (
    tenant_id text NOT NULL,
    key text NOT NULL CHECK (key <> ''),
    request_sha256 text NOT NULL,
    status integer,
    answer jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, key)
);

-- What happened, told in the same commit; the relay publishes it.
CREATE TABLE treasury.outbox (
    tenant_id text NOT NULL,
    event_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    ordinal integer NOT NULL,
    event jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz,
    PRIMARY KEY (tenant_id, event_id),
    FOREIGN KEY (tenant_id, workflow_id) REFERENCES treasury.workflows (tenant_id, id)
);

CREATE INDEX outbox_unpublished ON treasury.outbox (recorded_at, ordinal) WHERE published_at IS NULL;

CREATE INDEX outbox_of_workflow ON treasury.outbox (tenant_id, workflow_id, recorded_at);
