"""From requests to outcomes: the window of what is under way, the way to each engine, and what both share."""
