DROP INDEX treasury.ending_warrants;
DROP TRIGGER settled_by_gateway ON treasury.holds;
DROP FUNCTION treasury.check_paid_call();
