"""What ops that ask a model share: prompts, conversations, captions in a column, and where each came from."""
