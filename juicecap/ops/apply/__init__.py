"""How an op is applied: to a stream of samples, to a table, and the fate of each sample."""
