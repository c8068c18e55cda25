"""Calling functions in a process of their own, where foreign bytes meet a library that may crash, hang or take all memory."""

from juicecap.isolated.process import IsolatedProcess, Stopped

__all__ = ["IsolatedProcess", "Stopped"]
