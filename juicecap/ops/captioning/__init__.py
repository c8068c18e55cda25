"""What captioning ops share: prompts, conversations, captions in a column, and provenance."""
