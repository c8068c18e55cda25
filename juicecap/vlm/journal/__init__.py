"""The journal: a cache of answers on disk, so that no request is answered twice."""

from juicecap.vlm.journal.journal import HeldFailures, Journal

__all__ = ["HeldFailures", "Journal"]
