"""Sites: where media are digested, measured and decoded, and where engines answer."""
