"""Ops that turn a sample into one or more samples."""
