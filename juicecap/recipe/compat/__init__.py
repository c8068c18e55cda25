"""Names of Data-Juicer and DataFlow in recipes, and what they correspond to."""
