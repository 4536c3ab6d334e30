DROP INDEX treasury.ending_warrants;
DROP TRIGGER belongs_to_gateway ON treasury.holds;
DROP FUNCTION treasury.check_paid_calls();
