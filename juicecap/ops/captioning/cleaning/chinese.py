"""What models say in Chinese to the person who asked (`chatter`), as regular expressions in which white space means nothing."""

from __future__ import annotations

_END = r"。\uff01\uff1f!?"
_COLON = r"[:\uff1a]"
_COMMA = r"[,\uff0c]"
_PICTURE = r"(?: 视频 | 影片 | 画面 | 图片 | 图像 | 照片 )"

PREAMBLES = (
    rf"(?: 好的? | 当然(?:可以)? | 没问题 | 明白了? | 收到 ) (?: {_COMMA} | [。\uff01!]+ )",
    rf"""
    (?: (?:根据|基于) [^{_END}\n:\uff1a]{{1,40}} {_COMMA}\s* )? (?:以下|下面|这里) (?:就?是|为) [^{_END}\n:\uff1a]{{0,60}}
    (?: 描述 | 说明 | 字幕 | 总结 | 摘要 | 概述 | 介绍 | 文案 | 分析 ) [^{_END}\n:\uff1a,\uff0c]{{0,10}} {_COLON}
    """,
)
"""Things that are said in front, each matched at the beginning of the text."""

NAMES = rf"(?: {_PICTURE} | 内容 ){{0,2}} (?: 描述 | 说明 | 概述 | 总结 | 回答 )"
"""What a caption is called in front of it."""

CLOSINGS = (
    rf"""
    (?: \A | \n | (?<=[{_END}.\u2026)\]"'\u201d\u2019」*_`]) ) \s*
    (?: 希望(?:这|以上|上述|对|能) [^{_END}\n]{{0,60}} (?: 帮助 | 满意 | 有用 )
      | 如(?:果[您你]|需|有) [^{_END}\n]{{0,80}} (?: 告诉我 | 联系我 | 告知 | 随时 )
      | 请?随时(?:告诉|联系|告知)我
      | 需要我(?:再|继续|进一步) )
    [^{_END}\n"\u201c\u201d「」]{{0,60}} [^\w"\u201c\u201d「」]* \Z
    """,
)
"""Things that are said behind, each matched up to the end of the text."""

OPENERS = (
    rf"""
    在?(?:这|该|本)?[个段张幅部]?短?{_PICTURE}
    (?: (?:中|里|主要)? (?: 展示 | 显示 | 呈现 | 描绘 | 记录 ) (?: 了 | 的是 )?
      | [中里] {_COMMA}? (?:我们)? (?:可以|能)? 看到了?
      | [中里] {_COMMA} )
    (?: {_COLON} | {_COMMA} )? (?!如何|怎么|什么|为什么)
    """,
)
"""Beginnings of captions that say only that there is a picture."""
