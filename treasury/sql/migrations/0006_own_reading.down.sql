DROP INDEX treasury.postings_of_authorization;
DROP INDEX treasury.holds_of_principal;
