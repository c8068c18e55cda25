"""Texts for people: a run's summary and status, a plan, a preview."""
