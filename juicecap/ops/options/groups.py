"""The groups in which an op's parameters are shown, and which one a parameter is in.

A field names its group in its metadata: `field(default=2.0, metadata=FRAMES)`. A field that names none is in the op's
`default_group`. A group is for readers alone: no fingerprint and no key knows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

OWN, KEPT = "what it does", "what is kept"
"""Where the parameters are that name no group: of ops that change samples, and of ops that choose among them."""

GROUPS: Mapping[str, str] = {
    OWN: "",
    KEPT: "",
    "ends of the range": "whether they belong to it, and whether it is turned round",
    "model": "what answers, and how it draws its words",
    "question": "what is asked, and about what",
    "candidates": "how many answers a question gets, and which of them stay",
    "frames": "what the model sees of a video",
    "output": "where the answer goes, and what stays beside it",
    "limits": "which media are taken, and what reading them may cost",
    "how it runs": "speed and memory, on which the output does not depend",
    "columns and tokens": "every op has these; a recipe sets them once for all ops",
}
"""Name of a group and what is in it, in the order in which people need them."""

RANGE: Mapping[str, Any] = {"group": "ends of the range"}
MODEL: Mapping[str, Any] = {"group": "model"}
QUESTION: Mapping[str, Any] = {"group": "question"}
CANDIDATES: Mapping[str, Any] = {"group": "candidates"}
FRAMES: Mapping[str, Any] = {"group": "frames"}
OUTPUT: Mapping[str, Any] = {"group": "output"}
LIMITS: Mapping[str, Any] = {"group": "limits"}
HOW_IT_RUNS: Mapping[str, Any] = {"group": "how it runs"}
COLUMNS: Mapping[str, Any] = {"group": "columns and tokens"}


def group_of(kind: type, name: str) -> str:
    """The group of a dataclass's field. Empty where neither the field nor the class names one.

    A field that a subclass defines anew, for another default, stays in its group.
    """
    for each in kind.__mro__:
        found = vars(each).get("__dataclass_fields__", {}).get(name)
        if found and found.metadata.get("group"):
            return str(found.metadata["group"])
    return str(getattr(kind, "default_group", ""))


def in_order(groups: Iterable[str]) -> list[str]:
    """Each group once, in the order in which they are shown. Groups that an author made up come before the model's."""
    known = list(GROUPS)
    made_up = known.index("model") - 0.5
    return sorted(dict.fromkeys(groups), key=lambda group: known.index(group) if group in known else made_up)


def heading(group: str) -> str:
    """The group and what is in it."""
    return f"{group}: {GROUPS[group]}" if GROUPS.get(group) else group
