"""Help for authors of recipes: templates, snippets, the JSON Schema."""
