"""From requests to outcomes: the window of requests in progress, the pipeline to each engine, and what they share."""
