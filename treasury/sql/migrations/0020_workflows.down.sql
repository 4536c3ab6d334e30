REVOKE UPDATE (status) ON treasury.workflows FROM tollhouse_treasury;

DROP TRIGGER workflow_spends ON treasury.executions;
DROP FUNCTION treasury.check_workflow_of_executions();

DROP TRIGGER workflow_spends ON treasury.holds;
DROP FUNCTION treasury.check_workflow_of_holds();

DROP TRIGGER transition ON treasury.workflows;
DELETE FROM treasury.transitions
WHERE noun = 'workflow';

ALTER TABLE treasury.workflows
DROP COLUMN status,
DROP COLUMN budget_cents,
DROP COLUMN budget_currency,
DROP COLUMN created_by;
