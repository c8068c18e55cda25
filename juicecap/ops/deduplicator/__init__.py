"""Ops that drop duplicates."""
