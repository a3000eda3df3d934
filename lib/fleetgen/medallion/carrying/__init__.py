"""What is common to every engine: following the ledger, the order of batches, what is held up, acknowledging."""
