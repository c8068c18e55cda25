"""A recipe's values with includes, `--set` and variables applied, and the source of each value."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from juicecap.recipe.problems import Problem, lines_of
from juicecap.recipe.yaml.environment import BadVariable, Filled, fill, strings
from juicecap.recipe.yaml.named import Named
from juicecap.recipe.yaml.values import MAX_BYTES, KeyPath, SourceSpan, key_path


@dataclass
class Source:
    """The values of a recipe and where each was set. Complete once `load_recipe` returns."""

    file: str
    text: str
    values: dict[str | int, Any]
    keys: dict[KeyPath, SourceSpan] = field(default_factory=dict)
    places: dict[KeyPath, SourceSpan] = field(default_factory=dict)
    overridden: dict[KeyPath, str] = field(default_factory=dict)
    """What an option of the command line set, and its text: `seed=4`."""
    texts: dict[str, str] = field(default_factory=dict)
    """The texts of the files that the recipe includes, by their paths as messages show them."""
    included: tuple[str, ...] = ()
    """The paths of these files."""
    written: dict[str | int, Any] = field(default_factory=dict)
    """The values before variables were filled in."""
    filled: dict[KeyPath, Filled] = field(default_factory=dict)
    """Values with variables that were filled in."""
    is_mapping: bool = False
    """Whether the recipe is a dict of Python's, so that problems name the paths of keys."""

    def fill_variables(self) -> list[Problem]:
        """Fill in the variables of all values; those that cannot be stay as they are and are problems."""
        self.written = copy.deepcopy(self.values)
        bad: list[tuple[KeyPath, BadVariable]] = []
        room = MAX_BYTES
        for trail, text in list(strings(self.values)):
            try:
                filled = fill(text, room=room)
            except BadVariable as error:
                bad.append((trail, error))
            else:
                room -= len(filled.text)
                self.filled[trail] = filled
                self.at(trail[:-1])[trail[-1]] = filled.value
        return [self.problem(trail, error.message, hint=error.hint) for trail, error in bad]

    @cached_property
    def named(self) -> Named:
        """Says the names of variables in the place of their values, once those are filled in."""
        return Named(self.values, self.filled)

    def as_text(self, trail: KeyPath) -> Any:
        """The value at `trail` for a parameter that takes texts: one that a variable gave stays a text, also if it is `3`."""
        return self.filled[trail].text if trail in self.filled else self.at(trail)

    def is_empty(self, trail: KeyPath) -> bool:
        """Whether an empty variable stands at `trail`. Its value is null, which means something else where a path may stand."""
        return trail in self.filled and not self.filled[trail].text.strip()

    def place(self, trail: KeyPath, at: Literal["key", "value"]) -> SourceSpan | str | None:
        """Where the key or the value at `trail` was set; what is not written is placed at the key around it.

        A string is the text of the option that set it; None: the recipe as a whole.
        """
        option = self._option(trail)
        if option:
            return option
        while trail:
            value, key = self.places.get(trail), self.keys.get(trail)
            if at == "value" and value and value.length:
                return value
            if key or value:
                return key or value
            trail, at = trail[:-1], "key"
        return None

    def problem(self, trail: KeyPath, message: str, *, at: Literal["key", "value"] = "value", hint: str = "") -> Problem:
        """The problem with the key or the value at `trail`. What message and hint say of values has their variables by name."""
        span = self.place(trail, at)
        message, hint = self.named.message(trail, message), self.named.message(trail, hint)
        if isinstance(span, str):
            return Problem(file=f"--set {span}", message=message, hint=hint)
        if span is None:
            return Problem(file=key_path(trail) if self.is_mapping else self.file, message=message, hint=hint)
        return Problem(
            file=span.file or self.file,
            line=span.line,
            column=span.column,
            length=max(1, span.length),
            message=message,
            hint=hint,
            excerpt=lines_of(self.texts[span.file])[span.line - 1] if span.file else None,
        )

    def set(self, trail: KeyPath, value: Any, option: str) -> None:
        """Put a value at `trail`, whose parent exists, in place of what was there."""
        parent = self.at(trail[:-1])
        parent[trail[-1]] = value
        for table in (self.keys, self.places, self.overridden):
            for inner in [each for each in table if each[: len(trail)] == trail and each != trail]:
                del table[inner]
        self.overridden[trail] = option

    def at(self, trail: KeyPath) -> Any:
        """The value at `trail`, which exists."""
        value: Any = self.values
        for step in trail:
            value = value[step]
        return value

    def is_overridden(self, trail: KeyPath) -> bool:
        """Whether what stands at `trail` was given on the command line."""
        return self._option(trail) is not None

    def _option(self, trail: KeyPath) -> str | None:
        prefixes = (trail[:length] for length in range(len(trail), 0, -1))
        return next((self.overridden[each] for each in prefixes if each in self.overridden), None)
