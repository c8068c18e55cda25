"""Exports of a run, and those that are made afterwards."""
