"""Answers that outlive the process: what a model said once is not asked again."""

from juicecap.vlm.journal.journal import Journal

__all__ = ["Journal"]
