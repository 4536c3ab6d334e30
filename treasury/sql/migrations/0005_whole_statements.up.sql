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
