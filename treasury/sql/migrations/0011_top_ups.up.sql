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
