"""Decoding in processes of their own, and the memory that they share with this one."""
