"""The edges: one file for each thing that talks to the ledger or that the ledger talks to."""
