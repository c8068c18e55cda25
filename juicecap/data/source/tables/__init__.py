"""Parquet, Arrow and saved folders: read in a process with limits, and checked in full."""
