"""Parameters that many ops share: their types and bounds, and what they are called in recipes of others."""
