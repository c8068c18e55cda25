"""Shards of a run: each works on its part of the records, on any machine, and a merge makes one run of them."""
