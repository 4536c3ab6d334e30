-- A ledger that was topped up does not go back: its entries would have nothing behind them.

ALTER TABLE treasury.top_ups ADD CONSTRAINT nothing_topped_up CHECK (FALSE);

DROP TRIGGER level ON treasury.budgets;

DROP TRIGGER topped_up ON treasury.budgets;

DROP TRIGGER born_topped_up ON treasury.budgets;

DROP TRIGGER topped_up ON treasury.journal_entries;

DROP TABLE
treasury.budget_alerts,
treasury.top_ups;

DROP FUNCTION treasury.keep_level, treasury.check_topped_up, treasury.check_top_up;

DROP TRIGGER born_within_limit ON treasury.budgets;

DROP TRIGGER within_limit ON treasury.budgets;

CREATE TRIGGER born_within_limit BEFORE INSERT ON treasury.budgets
FOR EACH ROW WHEN (new.held_cents::numeric + new.captured_cents > new.limit_cents)
EXECUTE FUNCTION treasury.refuse_rise();

CREATE TRIGGER within_limit BEFORE UPDATE ON treasury.budgets
FOR EACH ROW WHEN (
    new.held_cents::numeric + new.captured_cents > new.limit_cents
    AND new.held_cents::numeric + new.captured_cents > old.held_cents::numeric + old.captured_cents
)
EXECUTE FUNCTION treasury.refuse_rise();

ALTER TABLE treasury.budgets
DROP COLUMN topped_up_cents,
DROP COLUMN low_cents,
DROP COLUMN level;
