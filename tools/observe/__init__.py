"""What was seen: the ledger of evidence, and the cleaning of text that others wrote."""
