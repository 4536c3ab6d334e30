"""The ledger service: intents, authorizations, holds, postings, budgets."""
