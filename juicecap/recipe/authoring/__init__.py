"""Help for who writes recipes: templates, snippets, the JSON Schema."""
