"""From a YAML text to values with their places: composing, includes, variables, overrides."""
