"""One request to a server: the client and its bounds, retries, and what is of the shape of an answer."""
