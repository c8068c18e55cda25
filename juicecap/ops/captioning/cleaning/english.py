"""What models say in English to the person who asked (`chatter`), as regular expressions in which white space means nothing."""

from __future__ import annotations

_PICTURE = r"(?: video | clip | footage | film | animation | gif | image | picture | photo(?:graph)? | scene | frames? )"
_CAPTION = (
    r"(?: captions? | descriptions? | summar(?:y|ies) | alt[- ]text | answer | response | overview | analysis | breakdown )"
)
_AGREED = r"(?: sure(?:\s+thing)? | certainly | of\s+course | absolutely | okay | ok | all\s?right | got\s+it | understood | no\s+problem )"
_I = r"(?: i['\u2019](?:d|ll|m) | i\s+(?:would|will|can|am) | (?:let|allow)\s+me )"
_QUESTION = r"(?: how | what | where | why | whether | who )\b"

_HERE = rf"""
    (?: (?: based\s+on | from | given | according\s+to | after\s+\w+ing )\b [^.!?:\n]{{1,100}} ,\s* )?
    (?: here(?:['\u2019]s|\s+is|\s+are) | below\s+(?:is|are) | (?:the\s+following|this)\s+is )\s
    [^.!?:\n]{{0,60}} \b{_CAPTION}\b [^.!?:\n]{{0,120}}
    (?: : | [.!](?=\s*\n) | (?=\n\s*\n) )
"""
_OFFERED = rf"""
    (?: {_I}\s+ (?:be\s+)? (?:(?:happy|glad|pleased|delighted|love|like)\s+)? (?:to\s+)?
        (?: help | assist | describe | provide | give | caption | analy[sz]e | break | write | generate | create )\b
      | thank(?:s|\s+you)\s+for\s+(?:sharing|providing|uploading)\b )
    [^.!?:\n]{{0,100}} [.!:]
"""
_NAME = rf"""
    (?: (?: detailed | short | brief | concise | final | full | revised | dense | generated | suggested
          | video | image | picture | photo | clip | scene )\s+ ){{0,3}}
    (?: {_CAPTION} | output | assistant ) (?:\s+\#?\d{{1,2}})? (?:\s+(?:of|for)\s+(?:the|this|your)\s+{_PICTURE})?
"""

PREAMBLES = (
    rf"(?: {_AGREED} [,.!:]? \s+ )? (?: {_HERE} | {_OFFERED} )",
    rf"{_AGREED} (?: !+ | [.,:](?=\s*\n) )",
)
"""Things that are said in front, each matched at the beginning of the text."""

NAMES = _NAME
"""What a caption is called in front of it."""

CLOSINGS = (
    rf"""
    (?: \A | \n | (?<=[.!?\u2026)\]"\u201d*])\s ) \s*
    (?: (?:please\s+)? (?: let\s+me\s+know | feel\s+free\s+to | do(?:n['\u2019]t|\s+not)\s+hesitate )\b
      | (?:i\s+)? hope\s+(?:this|that|it|these)\b [^.!?\n]{{0,40}} \bhelp(?:s|ful)?\b
      | is\s+there\s+anything\s+else\b
      | (?: would\s+you\s+like | do\s+you\s+want )\s+me\s+to\b
      | (?:i(?:['\u2019]m|\s+am)\s+)? happy\s+to\s+(?:help|provide|adjust|refine)\b
      | if\s+you\b [^.!?\n]{{0,120}} \b(?: let\s+me\s+know | feel\s+free | just\s+ask | tell\s+me | {_I} )\b )
    [^.!?\n"\u201c\u201d]{{0,200}} [.!?]* [^\w\s"\u201c\u201d]* \Z
    """,
)
"""Things that are said behind, each matched up to the end of the text."""

OPENERS = (
    rf"""
    (?:the|this)\s+ (?:(?:short|brief|given|provided|entire)\s+)? {_PICTURE} (?:\s+(?:clip|footage|sequence))? \s+
    (?: shows? | depicts? | features? | captures? | displays? | presents? | portrays? | showcases? | illustrates? )\s+
    (?:us\s+)? (?:that\s+)? (?!{_QUESTION})
    """,
    rf"this\s+is\s+an?\s+ (?:(?:short|brief)\s+)? {_PICTURE} (?:\s+clip)? \s+(?:of|showing)\s+",
    rf"""
    in\s+(?:the|this)\s+ (?:(?:short|brief)\s+)? {_PICTURE} (?:\s+clip)? (?: ,\s* | \s+(?=(?:we|you)\b) )
    (?: (?:we|you)\s+(?:can\s+)?see\s+(?:that\s+)? | there\s+(?:is|are)\s+ )? (?!{_QUESTION})
    """,
    rf"(?:we|you)\s+(?:can\s+)?see\s+ (?:that\s+)? (?!{_QUESTION})",
)
"""Beginnings of captions that say only that there is a picture."""
