-- The ledger's whole schema: all migrations, in order. Made for reading; a test holds it to them.

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

CREATE INDEX holds_of_principal ON treasury.holds (tenant_id, principal, id);

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

CREATE INDEX postings_of_authorization ON treasury.postings (tenant_id, authorization_id);

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

-- What the ledger refuses whoever asks, the service's own role included.
-- SQLSTATE TL001: a rule of the ledger is broken; the message names the rule.

-- Entries are append only: corrections are further entries.
CREATE FUNCTION treasury.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', tg_table_name USING ERRCODE = 'TL001';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.journal_entries
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.postings
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.executions
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.warrants
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

-- At commit each entry's debits and credits both are the amount that it declared, and exactly one
-- execution of that amount stands behind it. A balanced addition to an old entry breaks the first.
CREATE FUNCTION treasury.check_entry(tenant text, entry uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    sums record;
BEGIN
    SELECT
        e.amount_cents,
        (
            SELECT coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'debit'), 0)
            FROM treasury.postings AS p
            WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
        ) AS debits,
        (
            SELECT coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'credit'), 0)
            FROM treasury.postings AS p
            WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
        ) AS credits,
        (
            SELECT coalesce(sum(x.amount_cents), 0)
            FROM treasury.executions AS x
            WHERE x.tenant_id = e.tenant_id AND x.journal_entry_id = e.id
        ) AS executed
    INTO STRICT sums
    FROM treasury.journal_entries AS e
    WHERE e.tenant_id = tenant AND e.id = entry;
    IF sums.debits <> sums.amount_cents OR sums.credits <> sums.amount_cents THEN
        RAISE EXCEPTION 'entry % declares % but has debits of % and credits of %',
            entry, sums.amount_cents, sums.debits, sums.credits USING ERRCODE = 'TL001';
    END IF;
    IF sums.executed <> sums.amount_cents THEN
        RAISE EXCEPTION 'entry % has no execution of its amount behind it', entry
            USING ERRCODE = 'TL001';
    END IF;
END
$$;

CREATE FUNCTION treasury.check_new_entry() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM treasury.check_entry(new.tenant_id, new.id);
    RETURN NULL;
END
$$;

CREATE FUNCTION treasury.check_entry_of_posting() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM treasury.check_entry(new.tenant_id, new.journal_entry_id);
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON treasury.journal_entries
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_new_entry();

CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON treasury.postings
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_entry_of_posting();

-- Balances follow the postings, in the order of the accounts so that nobody waits in a circle.
CREATE FUNCTION treasury.keep_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO treasury.account_balances AS b
    (tenant_id, account, currency, debits_cents, credits_cents)
    SELECT
        p.tenant_id,
        p.account,
        p.currency,
        coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'debit'), 0),
        coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'credit'), 0)
    FROM posted AS p
    GROUP BY p.tenant_id, p.account, p.currency
    ORDER BY p.tenant_id, p.account, p.currency
    ON CONFLICT (tenant_id, account, currency) DO UPDATE SET
    debits_cents = b.debits_cents + excluded.debits_cents,
    credits_cents = b.credits_cents + excluded.credits_cents;
    RETURN NULL;
END
$$;

CREATE TRIGGER balances AFTER INSERT ON treasury.postings
REFERENCING NEW TABLE AS posted
FOR EACH STATEMENT EXECUTE FUNCTION treasury.keep_balances();

-- A state follows another only as treasury.transitions says; the noun is the trigger's argument.
CREATE FUNCTION treasury.check_transition() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    before_status text := '';
BEGIN
    IF tg_op = 'UPDATE' THEN
        IF new.status = old.status THEN
            RETURN new;
        END IF;
        before_status := old.status;
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM treasury.transitions AS t
        WHERE t.noun = tg_argv[0] AND t.from_status = before_status AND t.to_status = new.status
    ) THEN
        RAISE EXCEPTION '% cannot go from "%" to "%"', tg_argv[0], before_status, new.status
            USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.intents
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('intent');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.authorizations
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('authorization');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.holds
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('hold');

-- Money moves only for an approved authorization whose hold is open and in time.
CREATE FUNCTION treasury.check_execution() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1
        FROM treasury.authorizations AS a
        INNER JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
        WHERE
            h.tenant_id = new.tenant_id AND h.id = new.hold_id
            AND a.id = new.authorization_id AND a.status = 'approved'
            AND h.status IN ('placed', 'unknown')
            AND (h.unsettled = 'unknown' OR h.expires_at > clock_timestamp())
    ) THEN
        RAISE EXCEPTION 'no approved authorization with an open hold stands behind execution %', new.id
            USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

CREATE TRIGGER authorized BEFORE INSERT ON treasury.executions
FOR EACH ROW EXECUTE FUNCTION treasury.check_execution();

-- At commit a hold's executions add up to what it says was captured, so never to more than it held.
CREATE FUNCTION treasury.check_capture() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    hold uuid := CASE tg_table_name WHEN 'holds' THEN new.id ELSE (to_jsonb(new) ->> 'hold_id')::uuid END;
    captured bigint;
    executed numeric;
BEGIN
    SELECT h.captured_cents INTO STRICT captured
    FROM treasury.holds AS h
    WHERE h.tenant_id = new.tenant_id AND h.id = hold;
    SELECT coalesce(sum(x.amount_cents), 0) INTO STRICT executed
    FROM treasury.executions AS x
    WHERE x.tenant_id = new.tenant_id AND x.hold_id = hold;
    IF executed <> captured THEN
        RAISE EXCEPTION 'hold % says % captured, its executions say %', hold, captured, executed
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER captured AFTER INSERT ON treasury.executions
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_capture();

CREATE CONSTRAINT TRIGGER captured AFTER INSERT OR UPDATE OF captured_cents ON treasury.holds
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_capture();

-- A budget may be above a limit that was lowered; it may never rise above its limit.
CREATE FUNCTION treasury.check_budget() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    before_cents numeric := 0;
    after_cents numeric := new.held_cents::numeric + new.captured_cents;
BEGIN
    IF tg_op = 'UPDATE' THEN
        before_cents := old.held_cents::numeric + old.captured_cents;
    END IF;
    IF after_cents > before_cents AND after_cents > new.limit_cents THEN
        RAISE EXCEPTION 'budget % of % would rise to % of %',
            new.budget_key, new.window_start, after_cents, new.limit_cents USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

CREATE TRIGGER within_limit BEFORE INSERT OR UPDATE ON treasury.budgets
FOR EACH ROW EXECUTE FUNCTION treasury.check_budget();

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

-- How far the stream of events had come when the relay last saw it. What was published to a stream that has
-- lost its storage since is published again.
CREATE TABLE treasury.relay_position (
    stream text NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL,
    last_seq bigint NOT NULL CHECK (last_seq >= 0),
    messages bigint NOT NULL CHECK (messages >= 0)
);

GRANT SELECT, INSERT, UPDATE ON treasury.relay_position TO tollhouse_relay;

-- The hold of a paid call is ended by its gateway, which knows what became of the call. No warrant that an
-- agent asked for (execute, void) may be used up in the database transaction that captures or voids it,
-- unless the call waits for a person and was never sent.
CREATE FUNCTION treasury.check_paid_call() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1
        FROM treasury.authorizations AS a
        INNER JOIN treasury.warrants AS w ON a.tenant_id = w.tenant_id AND a.intent_id = w.intent_id
        WHERE
            a.tenant_id = new.tenant_id AND a.id = new.authorization_id AND a.status <> 'pending'
            AND w.act IN ('execute', 'void') AND w.xmin = pg_current_xact_id()::xid
    ) THEN
        RAISE EXCEPTION 'hold % is of a paid call, which its gateway alone settles', new.id
            USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

REVOKE ALL ON FUNCTION treasury.check_paid_call() FROM public;

CREATE TRIGGER settled_by_gateway BEFORE UPDATE ON treasury.holds
FOR EACH ROW WHEN (
    new.unsettled = 'unknown'
    AND (
        new.captured_cents <> old.captured_cents
        OR (new.status <> old.status AND new.status IN ('captured', 'voided'))
    )
)
EXECUTE FUNCTION treasury.check_paid_call();

-- For the trigger; a paid call by itself uses no such warrant.
CREATE INDEX ending_warrants ON treasury.warrants (tenant_id, intent_id) WHERE act IN ('execute', 'void');
