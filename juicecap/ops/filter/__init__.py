"""Ops that keep a sample as it is or drop it."""
