"""What models say in English to the person who asked (`chatter`), as regular expressions in which white space means nothing."""

from __future__ import annotations

_PICTURE = r"(?: video | clip | footage | film | animation | gif | image | picture | photo(?:graph)? | scene | frames? )"
_CAPTION = r"(?: captions? | descriptions? | summar(?:y|ies) | alt[- ]text | overview | analysis )"
_AGREED = r"(?: sure(?:\s+thing)? | certainly | of\s+course | absolutely | ok(?:ay)? | all\s?right | got\s+it | no\s+problem )"
_I = r"(?: i['\u2019](?:d|ll|m) | i\s+(?:would|will|can|am) | (?:let|allow)\s+me )"
_IS = r"(?: ['\u2019]s | \s+is | \s+are )"
_QUESTION = r"(?: how | what | where | why | whether | who )\b"

_CAPTION_OF_IT = rf"""
    [^.!?:\n]{{0,60}} \b{_CAPTION}\b
    (?: [^.!?:\n]{{0,100}} \b(?: {_PICTURE} | you | requested | based | words? | sentences? | details? )\b [^.!?:\n]{{0,80}} )?
"""
"""The caption as something that was asked for: no "description on a wall"."""

_HERE = rf"""
    (?: (?: based\s+on | from | given | according\s+to | after\s+\w+ing )\b [^.!?:\n]{{1,100}} ,\s* )?
    (?: here{_IS} \s {_CAPTION_OF_IT} (?: : | ! | [.](?=\s*\n) | (?=\n\s*\n) )
      | (?: below | the\s+following | this ) {_IS} \s {_CAPTION_OF_IT} :
      | (?:the|my)\s+{_CAPTION} {_IS} \s*:
      | here{_IS} \s+ (?: one | it | what\s+(?:the|this)\s+{_PICTURE}\s+shows | [^.!?:\n]{{0,20}}\b(?:options?|json) ) \s*:
      | here\s+you\s+go \s*: )
"""
_OFFERED = rf"""
    (?: {_I}\s+ (?:be\s+)? (?:(?:happy|glad|pleased|delighted|love|like)\s+)? (?:to\s+)?
        (?: help | assist | describe | provide | give | caption | analy[sz]e | break | write | generate | create )\b
      | thank(?:s|\s+you)\s+for\s+(?:sharing|providing|uploading)\b )
    [^.!?:\n]{{0,100}} [.!:]
"""

PREAMBLES = (
    rf"(?: \w+(?:\s\w+)? [,.!:]\s+ | {_AGREED}\s+ )? (?: {_HERE} | {_OFFERED} )",
    rf"{_AGREED} (?: !+ (?= \s*(?: \n | (?-i:[^a-z\s]) | \Z ) ) | [.,:](?=\s*\n) )",
)
"""Things that are said in front, each matched at the beginning of the text."""

NAMES = rf"""
    (?: (?: detailed | short | brief | concise | final | full | revised | dense | generated | suggested
          | video | image | picture | photo | clip | scene )\s+ ){{0,3}}
    (?: {_CAPTION} | answer | response | assistant ) (?:\s+\#?\d{{1,2}})? (?:\s+(?:of|for)\s+(?:the|this|your)\s+{_PICTURE})?
"""
"""What a caption is called in front of it."""

CLOSINGS = (
    rf"""
    (?: \A | \n | (?<=[.!?\u2026)\]"'\u201d\u2019」*_`])\s ) \s*
    (?: (?:please\s+)? let\s+me\s+know (?= \s+(?: if | whether | what | how | which | in\s+case )\b | \W*\Z )
      | (?:please\s+)? (?: feel\s+free\s+to | do(?:n['\u2019]t|\s+not)\s+hesitate )\b
      | (?:i\s+)? hope\s+(?:this|that|it|these)\b [^.!?\n]{{0,40}} \bhelp(?:s|ful)?\b
      | is\s+there\s+anything\s+else\b
      | (?: would\s+you\s+like | do\s+you\s+want )\s+me\s+to\b
      | (?:i(?:['\u2019]m|\s+am)\s+)? happy\s+to\s+(?:help|provide|adjust|refine)\b
      | if\s+you\b [^.!?\n]{{0,120}} \b(?: let\s+me\s+know | feel\s+free | just\s+ask | tell\s+me | {_I} )\b )
    [^.!?\n"\u201c\u201d]{{0,200}} [^\w"\u201c\u201d]* \Z
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
