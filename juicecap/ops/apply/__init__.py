"""How an op is applied: to samples as they come, to a table, and what becomes of each sample."""
