"""Sources of text: JSON Lines, JSON, CSV, lists of paths."""
