DROP INDEX treasury.intents_of_principal;
DROP INDEX treasury.postings_of_authorization;
DROP INDEX treasury.holds_of_principal;
