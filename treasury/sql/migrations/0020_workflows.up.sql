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
