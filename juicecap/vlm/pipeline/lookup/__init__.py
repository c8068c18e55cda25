"""The cache lookup: keys of requests, the journal, and requests in progress."""
