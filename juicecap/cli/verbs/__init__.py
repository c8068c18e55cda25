"""One module for each verb: its arguments, and what it prints."""
