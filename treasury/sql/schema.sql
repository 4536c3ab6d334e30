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

-- The same invariants, checked once a statement instead of once a row, since many commands are written at
-- once. A journal entry is whole in the statement that posts it: its postings, its execution and what its
-- hold says was captured come in one statement, at whose end all of them are looked at.

-- A spend may be declared and authorized in one go.
INSERT INTO treasury.transitions (noun, from_status, to_status) VALUES
('intent', '', 'pending'),
('intent', '', 'authorized'),
('intent', '', 'denied');

DROP TRIGGER transition ON treasury.intents;
DROP TRIGGER transition ON treasury.authorizations;
DROP TRIGGER transition ON treasury.holds;
DROP TRIGGER balanced ON treasury.journal_entries;
DROP TRIGGER balanced ON treasury.postings;
DROP TRIGGER authorized ON treasury.executions;
DROP TRIGGER captured ON treasury.executions;
DROP TRIGGER captured ON treasury.holds;
DROP TRIGGER within_limit ON treasury.budgets;
DROP FUNCTION treasury.check_new_entry();
DROP FUNCTION treasury.check_entry_of_posting();
DROP FUNCTION treasury.check_entry(text, uuid);
DROP FUNCTION treasury.check_execution();
DROP FUNCTION treasury.check_capture();
DROP FUNCTION treasury.check_budget();

-- What an execution belongs to is looked at once a statement (check_executions), and nothing of it is ever
-- deleted; an event tells its workflow in words that the registry checks.
ALTER TABLE treasury.executions
DROP CONSTRAINT executions_tenant_id_hold_id_authorization_id_workflow_id__fkey,
DROP CONSTRAINT executions_tenant_id_journal_entry_id_workflow_id_authoriz_fkey;

ALTER TABLE treasury.outbox DROP CONSTRAINT outbox_tenant_id_workflow_id_fkey;

CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON treasury.holds
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

-- Nothing asks by these.
DROP INDEX treasury.intents_of_workflow;
DROP INDEX treasury.holds_by_status;
DROP INDEX treasury.charges_of_budget;

-- A state follows another only as treasury.transitions says; the noun is the trigger's argument.
CREATE FUNCTION treasury.check_births() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    states text[] := ARRAY(
        SELECT t.to_status FROM treasury.transitions AS t
        WHERE t.noun = tg_argv[0] AND t.from_status = ''
    );
    broken text;
BEGIN
    SELECT b.status INTO broken FROM born AS b WHERE b.status <> ALL (states) LIMIT 1;
    IF found THEN
        RAISE EXCEPTION '% cannot go from "" to "%"', tg_argv[0], broken USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION treasury.check_steps() RETURNS trigger
LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    broken record;
BEGIN
    SELECT o.status AS from_status, n.status AS to_status INTO broken
    FROM after_step AS n
    LEFT JOIN before_step AS o ON n.tenant_id = o.tenant_id AND n.id = o.id
    LEFT JOIN treasury.transitions AS t
        ON t.noun = tg_argv[0] AND o.status = t.from_status AND n.status = t.to_status
    WHERE o.status IS DISTINCT FROM n.status AND t.noun IS NULL
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION '% cannot go from "%" to "%"', tg_argv[0], broken.from_status, broken.to_status
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER born AFTER INSERT ON treasury.intents
REFERENCING NEW TABLE AS born
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_births('intent');

CREATE TRIGGER born AFTER INSERT ON treasury.authorizations
REFERENCING NEW TABLE AS born
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_births('authorization');

CREATE TRIGGER born AFTER INSERT ON treasury.holds
REFERENCING NEW TABLE AS born
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_births('hold');

CREATE TRIGGER transition AFTER UPDATE ON treasury.intents
REFERENCING OLD TABLE AS before_step NEW TABLE AS after_step
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_steps('intent');

CREATE TRIGGER transition AFTER UPDATE ON treasury.authorizations
REFERENCING OLD TABLE AS before_step NEW TABLE AS after_step
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_steps('authorization');

CREATE TRIGGER transition AFTER UPDATE ON treasury.holds
REFERENCING OLD TABLE AS before_step NEW TABLE AS after_step
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_steps('hold');

-- An entry has postings and an execution. Both come with it, so the next two checks look at them.
CREATE FUNCTION treasury.check_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken uuid;
BEGIN
    SELECT e.id INTO broken
    FROM posted AS e
    LEFT JOIN LATERAL (
        SELECT TRUE AS there FROM treasury.postings AS p
        WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
        LIMIT 1
    ) AS posting ON TRUE
    LEFT JOIN LATERAL (
        SELECT TRUE AS there FROM treasury.executions AS x
        WHERE x.tenant_id = e.tenant_id AND x.journal_entry_id = e.id
        LIMIT 1
    ) AS execution ON TRUE
    WHERE posting.there IS NULL OR execution.there IS NULL
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'entry % is not whole: it has no postings, or no execution behind it', broken
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER whole AFTER INSERT ON treasury.journal_entries
REFERENCING NEW TABLE AS posted
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_entries();

-- An entry's debits and credits both are the amount that it declared, whatever was added to it.
CREATE FUNCTION treasury.check_postings() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT e.id, e.amount_cents, s.debits, s.credits INTO broken
    FROM (SELECT DISTINCT p.tenant_id, p.journal_entry_id FROM posted AS p) AS touched
    CROSS JOIN LATERAL (
        SELECT j.tenant_id, j.id, j.amount_cents FROM treasury.journal_entries AS j
        WHERE j.tenant_id = touched.tenant_id AND j.id = touched.journal_entry_id
        LIMIT 1
    ) AS e
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'debit'), 0) AS debits,
            coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'credit'), 0) AS credits
        FROM treasury.postings AS p
        WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
    ) AS s
    WHERE s.debits <> e.amount_cents OR s.credits <> e.amount_cents
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'entry % declares % but has debits of % and credits of %',
            broken.id, broken.amount_cents, broken.debits, broken.credits USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER balanced AFTER INSERT ON treasury.postings
REFERENCING NEW TABLE AS posted
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_postings();

-- An execution is of an entry of its amount and of a hold that says that this much was captured, both of its
-- own authorization, workflow and currency.
CREATE FUNCTION treasury.check_executions() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT
        x.id, x.amount_cents, e.amount_cents AS posted, h.captured_cents, s.executed INTO broken
    FROM executed AS x
    LEFT JOIN LATERAL (
        SELECT j.amount_cents FROM treasury.journal_entries AS j
        WHERE
            j.tenant_id = x.tenant_id AND j.id = x.journal_entry_id AND j.workflow_id = x.workflow_id
            AND j.authorization_id = x.authorization_id AND j.currency = x.currency
        LIMIT 1
    ) AS e ON TRUE
    LEFT JOIN LATERAL (
        SELECT o.captured_cents FROM treasury.holds AS o
        WHERE
            o.tenant_id = x.tenant_id AND o.id = x.hold_id AND o.workflow_id = x.workflow_id
            AND o.authorization_id = x.authorization_id AND o.currency = x.currency
        LIMIT 1
    ) AS h ON TRUE
    CROSS JOIN LATERAL (
        SELECT sum(o.amount_cents) AS executed
        FROM treasury.executions AS o
        WHERE o.tenant_id = x.tenant_id AND o.hold_id = x.hold_id
    ) AS s
    WHERE (x.amount_cents = e.amount_cents AND h.captured_cents = s.executed) IS NOT TRUE
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'execution % of % has an entry of %; its hold says % captured, its executions %',
            broken.id, broken.amount_cents, broken.posted, broken.captured_cents, broken.executed
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER whole AFTER INSERT ON treasury.executions
REFERENCING NEW TABLE AS executed
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_executions();

-- Money is captured only from a hold that was open and in time, of an authorization that is approved, and
-- only what is executed. What becomes of the authorization is written after.
CREATE FUNCTION treasury.check_captures() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT n.id, o.status, n.captured_cents INTO broken
    FROM after_step AS n
    LEFT JOIN before_step AS o ON n.tenant_id = o.tenant_id AND n.id = o.id
    LEFT JOIN LATERAL (
        SELECT g.status FROM treasury.authorizations AS g
        WHERE g.tenant_id = n.tenant_id AND g.id = n.authorization_id
        LIMIT 1
    ) AS a ON TRUE
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(x.amount_cents), 0) AS executed FROM treasury.executions AS x
        WHERE x.tenant_id = n.tenant_id AND x.hold_id = n.id
    ) AS s
    WHERE
        n.captured_cents IS DISTINCT FROM o.captured_cents
        AND (
            o.status IN ('placed', 'unknown')
            AND (o.unsettled = 'unknown' OR o.expires_at > clock_timestamp())
            AND a.status = 'approved'
            AND n.captured_cents = s.executed
        ) IS NOT TRUE
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'no approved authorization with an open hold stands behind the capture of hold % (%)',
            broken.id, broken.status USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER captured AFTER UPDATE ON treasury.holds
REFERENCING OLD TABLE AS before_step NEW TABLE AS after_step
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_captures();

CREATE FUNCTION treasury.refuse_captured_hold() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'hold % is new and has captured % already', new.id, new.captured_cents
        USING ERRCODE = 'TL001';
END
$$;

CREATE TRIGGER nothing_captured BEFORE INSERT ON treasury.holds
FOR EACH ROW WHEN (new.captured_cents <> 0) EXECUTE FUNCTION treasury.refuse_captured_hold();

-- A budget may be above a limit that was lowered; it may never rise above its limit.
CREATE FUNCTION treasury.refuse_rise() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'budget % of % would rise to % of %',
        new.budget_key, new.window_start, new.held_cents::numeric + new.captured_cents, new.limit_cents
        USING ERRCODE = 'TL001';
END
$$;

CREATE TRIGGER born_within_limit BEFORE INSERT ON treasury.budgets
FOR EACH ROW WHEN (new.held_cents::numeric + new.captured_cents > new.limit_cents)
EXECUTE FUNCTION treasury.refuse_rise();

CREATE TRIGGER within_limit BEFORE UPDATE ON treasury.budgets
FOR EACH ROW WHEN (
    new.held_cents::numeric + new.captured_cents > new.limit_cents
    AND new.held_cents::numeric + new.captured_cents > old.held_cents::numeric + old.captured_cents
)
EXECUTE FUNCTION treasury.refuse_rise();

REVOKE ALL ON FUNCTION
treasury.check_births(),
treasury.check_steps(),
treasury.check_entries(),
treasury.check_postings(),
treasury.check_executions(),
treasury.check_captures(),
treasury.refuse_captured_hold(),
treasury.refuse_rise()
FROM public;

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

-- The hold of a paid call is ended by its gateway, which knows what became of the call. No warrant that an
-- agent asked for (execute, void) may be used up in the database transaction that captures or voids it,
-- unless the call waits for a person and was never sent. Commands about one intent never share a transaction,
-- so a warrant of this transaction for the hold's intent is the word that ends it.
CREATE FUNCTION treasury.check_paid_calls() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken uuid;
BEGIN
    SELECT n.id INTO broken
    FROM after_step AS n
    INNER JOIN before_step AS o ON n.tenant_id = o.tenant_id AND n.id = o.id
    CROSS JOIN LATERAL (
        SELECT g.intent_id FROM treasury.authorizations AS g
        WHERE g.tenant_id = n.tenant_id AND g.id = n.authorization_id AND g.status <> 'pending'
        LIMIT 1
    ) AS a
    CROSS JOIN LATERAL (
        SELECT w.id FROM treasury.warrants AS w
        WHERE
            w.tenant_id = n.tenant_id AND w.intent_id = a.intent_id AND w.act IN ('execute', 'void')
            AND w.xmin = pg_current_xact_id()::xid
        LIMIT 1
    ) AS word
    WHERE
        o.unsettled = 'unknown'
        AND (
            n.captured_cents <> o.captured_cents
            OR (n.status <> o.status AND n.status IN ('captured', 'voided'))
        )
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'hold % is of a paid call, which its gateway alone settles', broken
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION treasury.check_paid_calls() FROM public;

CREATE TRIGGER belongs_to_gateway AFTER UPDATE ON treasury.holds
REFERENCING OLD TABLE AS before_step NEW TABLE AS after_step
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_paid_calls();

-- For the trigger; a paid call by itself uses no such warrant.
CREATE INDEX ending_warrants ON treasury.warrants (tenant_id, intent_id) WHERE act IN ('execute', 'void');

-- An agent reads what is its own: its holds, what was posted for them, the workflows that it takes part in.
CREATE INDEX holds_of_principal ON treasury.holds (tenant_id, principal, id);

CREATE INDEX postings_of_authorization ON treasury.postings (tenant_id, authorization_id);

CREATE INDEX intents_of_principal ON treasury.intents (tenant_id, principal, workflow_id);

-- Statements of providers, what they were matched to, the breaks, and the entries that resolve them.

-- Why an entry was posted. A payment has executions behind it; a reversal names the entry that it takes
-- back; an adjustment resolves a break; a top-up credits what a provider received.
ALTER TABLE treasury.journal_entries
ADD COLUMN kind text NOT NULL DEFAULT 'payment'
CONSTRAINT entry_kind CHECK (kind IN ('payment', 'reversal', 'adjustment', 'top_up')),
ADD COLUMN reverses_id uuid,
ADD CONSTRAINT reversal_names_its_entry CHECK ((kind = 'reversal') = (reverses_id IS NOT NULL)),
ADD CONSTRAINT reverses FOREIGN KEY (tenant_id, reverses_id, workflow_id, authorization_id, currency)
REFERENCES treasury.journal_entries (tenant_id, id, workflow_id, authorization_id, currency);

CREATE UNIQUE INDEX one_reversal ON treasury.journal_entries (tenant_id, reverses_id)
WHERE reverses_id IS NOT NULL;

-- An operator's word, like a gateway's, is good once.
ALTER TABLE treasury.warrants DROP CONSTRAINT warrants_act_check;

ALTER TABLE treasury.warrants
ADD CONSTRAINT warrants_act_check CHECK (act IN ('authorize', 'execute', 'void', 'adjust', 'top_up'));

CREATE TABLE treasury.reconciliations (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider <> ''),
    statement_sha256 text NOT NULL,
    matched integer NOT NULL CHECK (matched >= 0),
    settled integer NOT NULL CHECK (settled >= 0),
    repeated integer NOT NULL CHECK (repeated >= 0),
    operator text NOT NULL CHECK (operator <> ''),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, provider, statement_sha256),
    FOREIGN KEY (tenant_id, id) REFERENCES treasury.workflows (tenant_id, id)
);

CREATE TABLE treasury.statement_lines (
    tenant_id text NOT NULL,
    reconciliation_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    provider text NOT NULL,
    identity text NOT NULL,
    reference text NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    stated_at timestamptz,
    PRIMARY KEY (tenant_id, reconciliation_id, number),
    FOREIGN KEY (tenant_id, reconciliation_id) REFERENCES treasury.reconciliations (tenant_id, id)
);

CREATE INDEX statement_lines_by_identity ON treasury.statement_lines (tenant_id, provider, identity);

-- An execution is matched once.
CREATE TABLE treasury.matched_executions (
    tenant_id text NOT NULL,
    execution_id uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    line_number integer NOT NULL,
    PRIMARY KEY (tenant_id, execution_id),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES treasury.executions (tenant_id, id),
    FOREIGN KEY (tenant_id, reconciliation_id, line_number)
    REFERENCES treasury.statement_lines (tenant_id, reconciliation_id, number)
);

CREATE TABLE treasury.breaks (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    kind text NOT NULL CHECK (
        kind IN (
            'missing_in_ledger',
            'missing_in_statement',
            'amount_differs',
            'currency_differs',
            'duplicate_line'
        )
    ),
    line_number integer,
    reference text NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    ledger_cents bigint,
    hold_id uuid,
    execution_ids uuid[] NOT NULL,
    status text NOT NULL,
    action text CHECK (action IN ('accept', 'reverse', 'correct', 'post', 'capture', 'void')),
    note text,
    resolved_by text,
    resolved_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, reconciliation_id) REFERENCES treasury.reconciliations (tenant_id, id),
    FOREIGN KEY (tenant_id, hold_id) REFERENCES treasury.holds (tenant_id, id),
    CHECK ((status = 'resolved') = (action IS NOT NULL)),
    CHECK ((status = 'resolved') = (resolved_by IS NOT NULL AND resolved_at IS NOT NULL))
);

CREATE INDEX breaks_of_reconciliation ON treasury.breaks (tenant_id, reconciliation_id, id);

CREATE INDEX breaks_of_hold ON treasury.breaks (tenant_id, hold_id);

-- The entries that resolved a break.
CREATE TABLE treasury.break_entries (
    tenant_id text NOT NULL,
    journal_entry_id uuid NOT NULL,
    break_id uuid NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    PRIMARY KEY (tenant_id, journal_entry_id),
    FOREIGN KEY (tenant_id, journal_entry_id) REFERENCES treasury.journal_entries (tenant_id, id),
    FOREIGN KEY (tenant_id, break_id) REFERENCES treasury.breaks (tenant_id, id)
);

CREATE INDEX entries_of_break ON treasury.break_entries (tenant_id, break_id);

INSERT INTO treasury.transitions (noun, from_status, to_status) VALUES
('break', '', 'open'),
('break', 'open', 'resolved');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.breaks
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('break');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.reconciliations
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.statement_lines
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.matched_executions
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.break_entries
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

-- An entry has postings, and a payment an execution. They come with it, so the checks of these look at them.
CREATE OR REPLACE FUNCTION treasury.check_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken uuid;
BEGIN
    SELECT e.id INTO broken
    FROM posted AS e
    LEFT JOIN LATERAL (
        SELECT TRUE AS there FROM treasury.postings AS p
        WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
        LIMIT 1
    ) AS posting ON TRUE
    LEFT JOIN LATERAL (
        SELECT TRUE AS there FROM treasury.executions AS x
        WHERE x.tenant_id = e.tenant_id AND x.journal_entry_id = e.id
        LIMIT 1
    ) AS execution ON TRUE
    WHERE posting.there IS NULL OR (execution.there IS NOT NULL) <> (e.kind = 'payment')
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'entry % is not whole: it has no postings, or no execution behind it', broken
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

-- At commit a reversal and an adjustment resolve a break, and a reversal is its entry the other way round.
CREATE FUNCTION treasury.check_compensation() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM treasury.break_entries AS b
        WHERE b.tenant_id = new.tenant_id AND b.journal_entry_id = new.id AND b.amount_cents = new.amount_cents
    ) THEN
        RAISE EXCEPTION 'entry % resolves no break', new.id USING ERRCODE = 'TL001';
    END IF;
    IF new.kind = 'reversal' AND EXISTS (
        (
            SELECT p.account, p.direction, p.amount_cents FROM treasury.postings AS p
            WHERE p.tenant_id = new.tenant_id AND p.journal_entry_id = new.id
        )
        EXCEPT ALL
        (
            SELECT p.account, CASE p.direction WHEN 'debit' THEN 'credit' ELSE 'debit' END, p.amount_cents
            FROM treasury.postings AS p
            WHERE p.tenant_id = new.tenant_id AND p.journal_entry_id = new.reverses_id
        )
    ) THEN
        RAISE EXCEPTION 'entry % is not the reversal of %', new.id, new.reverses_id USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER compensates AFTER INSERT ON treasury.journal_entries
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.kind IN ('reversal', 'adjustment'))
EXECUTE FUNCTION treasury.check_compensation();

REVOKE ALL ON FUNCTION treasury.check_compensation() FROM public;

GRANT SELECT, INSERT ON
treasury.reconciliations,
treasury.statement_lines,
treasury.matched_executions,
treasury.breaks,
treasury.break_entries
TO tollhouse_treasury;

GRANT UPDATE (status, action, note, resolved_by, resolved_at) ON treasury.breaks TO tollhouse_treasury;

-- Money that a provider received for a budget. It gives the budget room beside its limit, and the budget
-- tells when what is left falls below a mark, and when nothing is left.

ALTER TABLE treasury.budgets
ADD COLUMN topped_up_cents bigint NOT NULL DEFAULT 0
CONSTRAINT topped_up_range CHECK (topped_up_cents BETWEEN 0 AND 9007199254740991),
ADD COLUMN low_cents bigint NOT NULL DEFAULT 0 CONSTRAINT low_mark CHECK (low_cents >= 0),
ADD COLUMN level text NOT NULL DEFAULT 'ample'
CONSTRAINT known_level CHECK (level IN ('ample', 'low', 'depleted'));

CREATE TABLE treasury.top_ups (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider <> ''),
    provider_event_id text NOT NULL CHECK (provider_event_id <> ''),
    reference text NOT NULL CHECK (reference <> ''),
    budget_key text NOT NULL,
    budget_window text NOT NULL,
    window_start timestamptz NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    journal_entry_id uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, journal_entry_id),
    FOREIGN KEY (tenant_id, journal_entry_id) REFERENCES treasury.journal_entries (tenant_id, id),
    FOREIGN KEY (tenant_id, budget_key, budget_window, window_start, currency)
    REFERENCES treasury.budgets (tenant_id, budget_key, budget_window, window_start, currency)
);

-- A provider's event credits once, and so does what it is about, whatever the tenant.
CREATE UNIQUE INDEX top_up_event ON treasury.top_ups (provider, provider_event_id);

CREATE UNIQUE INDEX top_up_reference ON treasury.top_ups (provider, reference);

CREATE INDEX top_ups_of_budget
ON treasury.top_ups (tenant_id, budget_key, budget_window, window_start, currency);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.top_ups
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

-- At commit the entry of a top-up has its top-up, and a budget's room is what its top-ups say.
CREATE FUNCTION treasury.check_top_up() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM treasury.top_ups AS t
        WHERE
            t.tenant_id = new.tenant_id AND t.journal_entry_id = new.id
            AND t.amount_cents = new.amount_cents AND t.currency = new.currency
    ) THEN
        RAISE EXCEPTION 'entry % has no top-up of its amount behind it', new.id USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER topped_up AFTER INSERT ON treasury.journal_entries
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.kind = 'top_up')
EXECUTE FUNCTION treasury.check_top_up();

CREATE FUNCTION treasury.check_topped_up() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    stated bigint;
    received numeric;
BEGIN
    SELECT b.topped_up_cents INTO STRICT stated
    FROM treasury.budgets AS b
    WHERE
        b.tenant_id = new.tenant_id AND b.budget_key = new.budget_key
        AND b.budget_window = new.budget_window AND b.window_start = new.window_start
        AND b.currency = new.currency;
    SELECT coalesce(sum(t.amount_cents), 0) INTO STRICT received
    FROM treasury.top_ups AS t
    WHERE
        t.tenant_id = new.tenant_id AND t.budget_key = new.budget_key
        AND t.budget_window = new.budget_window AND t.window_start = new.window_start
        AND t.currency = new.currency;
    IF stated <> received THEN
        RAISE EXCEPTION 'budget % says % topped up, its top-ups say %', new.budget_key, stated, received
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER born_topped_up AFTER INSERT ON treasury.budgets
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.topped_up_cents <> 0)
EXECUTE FUNCTION treasury.check_topped_up();

CREATE CONSTRAINT TRIGGER topped_up AFTER UPDATE ON treasury.budgets
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.topped_up_cents <> old.topped_up_cents)
EXECUTE FUNCTION treasury.check_topped_up();

CREATE CONSTRAINT TRIGGER topped_up AFTER INSERT ON treasury.top_ups
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_topped_up();

-- A budget never rises above its limit and what it was topped up.
DROP TRIGGER born_within_limit ON treasury.budgets;

DROP TRIGGER within_limit ON treasury.budgets;

CREATE TRIGGER born_within_limit BEFORE INSERT ON treasury.budgets
FOR EACH ROW WHEN (
    new.held_cents::numeric + new.captured_cents > new.limit_cents::numeric + new.topped_up_cents
)
EXECUTE FUNCTION treasury.refuse_rise();

CREATE TRIGGER within_limit BEFORE UPDATE ON treasury.budgets
FOR EACH ROW WHEN (
    new.held_cents::numeric + new.captured_cents > new.limit_cents::numeric + new.topped_up_cents
    AND new.held_cents::numeric + new.captured_cents > old.held_cents::numeric + old.captured_cents
)
EXECUTE FUNCTION treasury.refuse_rise();

-- What a prepaid budget has to tell. `told_at` is set with the event.
CREATE TABLE treasury.budget_alerts (
    tenant_id text NOT NULL,
    id uuid NOT NULL DEFAULT uuidv7(),
    level text NOT NULL CHECK (level IN ('low', 'depleted')),
    budget_key text NOT NULL,
    budget_window text NOT NULL,
    window_start timestamptz NOT NULL,
    currency treasury.currency NOT NULL,
    balance_cents numeric(38, 0) NOT NULL,
    low_cents bigint NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);

CREATE INDEX alerts_to_tell ON treasury.budget_alerts (raised_at, id) WHERE told_at IS NULL;

-- The level follows what was captured; each step down is told once, and again after it rose.
CREATE FUNCTION treasury.keep_level() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    balance numeric := new.limit_cents::numeric + new.topped_up_cents - new.captured_cents;
    reached text[];
BEGIN
    new.level := CASE
        WHEN balance <= 0 THEN 'depleted' WHEN balance < new.low_cents THEN 'low' ELSE 'ample'
    END;
    reached := CASE
        WHEN new.level = 'depleted' AND old.level = 'ample' THEN ARRAY['low', 'depleted']
        WHEN new.level = 'depleted' THEN ARRAY['depleted']
        WHEN new.level = 'low' AND old.level = 'ample' THEN ARRAY['low']
        ELSE ARRAY[]::text[]
    END;
    INSERT INTO treasury.budget_alerts
    (tenant_id, level, budget_key, budget_window, window_start, currency, balance_cents, low_cents)
    SELECT
        new.tenant_id, r.level, new.budget_key, new.budget_window, new.window_start, new.currency,
        balance, new.low_cents
    FROM unnest(reached) AS r (level);
    RETURN new;
END
$$;

CREATE TRIGGER level BEFORE UPDATE ON treasury.budgets
FOR EACH ROW WHEN (
    new.topped_up_cents > 0
    AND new.level <> CASE
        WHEN new.limit_cents::numeric + new.topped_up_cents - new.captured_cents <= 0 THEN 'depleted'
        WHEN new.limit_cents::numeric + new.topped_up_cents - new.captured_cents < new.low_cents THEN 'low'
        ELSE 'ample'
    END
)
EXECUTE FUNCTION treasury.keep_level();

REVOKE ALL ON FUNCTION
treasury.check_top_up(),
treasury.check_topped_up(),
treasury.keep_level()
FROM public;

GRANT SELECT, INSERT ON treasury.top_ups TO tollhouse_treasury;

GRANT SELECT ON treasury.budget_alerts TO tollhouse_treasury;

GRANT UPDATE (topped_up_cents, low_cents) ON treasury.budgets TO tollhouse_treasury;

GRANT UPDATE (told_at) ON treasury.budget_alerts TO tollhouse_treasury;

-- A workflow has a state, and a budget for its whole life where it was created with one.
-- What it holds is charged to the budget here as well, so that no path to the tables goes around it.

ALTER TABLE treasury.workflows
ADD COLUMN status text NOT NULL DEFAULT 'active',
ADD COLUMN budget_cents bigint,
ADD COLUMN budget_currency treasury.currency,
ADD COLUMN created_by text NOT NULL DEFAULT '',
ADD CONSTRAINT workflow_budget CHECK (
    (budget_cents IS NULL) = (budget_currency IS NULL)
    AND (budget_cents IS NULL OR budget_cents BETWEEN 1 AND 9007199254740991)
);

INSERT INTO treasury.transitions (noun, from_status, to_status) VALUES
('workflow', '', 'active'),
('workflow', 'active', 'suspended'),
('workflow', 'active', 'finished'),
('workflow', 'suspended', 'active'),
('workflow', 'suspended', 'finished');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE OF status ON treasury.workflows
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('workflow');

-- A workflow that is suspended or finished holds nothing new; one with a budget never holds or spends more,
-- nor in another currency.
CREATE FUNCTION treasury.check_workflow_of_holds() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT w.id, w.status INTO broken
    FROM (SELECT DISTINCT p.tenant_id, p.workflow_id, p.currency FROM placed AS p) AS spending
    INNER JOIN treasury.workflows AS w ON spending.tenant_id = w.tenant_id AND spending.workflow_id = w.id
    WHERE
        w.status <> 'active'
        OR w.budget_currency <> spending.currency
        OR (
            w.budget_cents IS NOT NULL
            AND (
                SELECT sum(
                    CASE WHEN h.status IN ('placed', 'unknown') THEN h.amount_cents ELSE h.captured_cents END
                )
                FROM treasury.holds AS h
                WHERE h.tenant_id = w.tenant_id AND h.workflow_id = w.id
            ) > w.budget_cents
        )
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'workflow % (%) may not hold this', broken.id, broken.status USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER workflow_spends AFTER INSERT ON treasury.holds
REFERENCING NEW TABLE AS placed
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_workflow_of_holds();

-- It executes no spend either. A paid call has been made already: its hold is settled all the same.
CREATE FUNCTION treasury.check_workflow_of_executions() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT w.id, w.status INTO broken
    FROM executed AS x
    INNER JOIN treasury.workflows AS w ON x.tenant_id = w.tenant_id AND x.workflow_id = w.id
    INNER JOIN treasury.holds AS h ON x.tenant_id = h.tenant_id AND x.hold_id = h.id
    WHERE w.status <> 'active' AND h.unsettled = 'release'
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'workflow % (%) may not spend', broken.id, broken.status USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER workflow_spends AFTER INSERT ON treasury.executions
REFERENCING NEW TABLE AS executed
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_workflow_of_executions();

REVOKE ALL ON FUNCTION
treasury.check_workflow_of_holds(),
treasury.check_workflow_of_executions()
FROM public;

GRANT UPDATE (status) ON treasury.workflows TO tollhouse_treasury;

-- A capture changes the status of an intent and of its authorization. Where the page has room and no index
-- knows of the change, the row stays where it is and none of its indexes grows.
ALTER TABLE treasury.intents SET (fillfactor = 60);

ALTER TABLE treasury.authorizations SET (fillfactor = 60);

-- The table is written anew for this, with that room, and locked meanwhile.
ALTER TABLE treasury.authorizations
ADD COLUMN is_live boolean GENERATED ALWAYS AS (status IN ('pending', 'approved', 'executed')) STORED;

DROP INDEX treasury.one_live_authorization;

CREATE UNIQUE INDEX one_live_authorization ON treasury.authorizations (tenant_id, intent_id)
WHERE is_live;
