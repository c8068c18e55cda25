"""A preview as a page for a browser: one file with the frames, what was asked and answered, and what became of each sample."""

from juicecap.report.page.document import preview_page

__all__ = ["preview_page"]
