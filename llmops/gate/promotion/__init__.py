"""The champion: promoted, rolled back, looked up and audited by the ledger."""
