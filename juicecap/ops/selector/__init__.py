"""Ops that pick samples by comparing them with all others."""
