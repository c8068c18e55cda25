"""Names of Data-Juicer and DataFlow in recipes, and what becomes of them."""
