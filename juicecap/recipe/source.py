"""A recipe's values with `--set` applied, and a problem's way from a value back to the line or the option that set it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from juicecap.recipe.problems import Problem
from juicecap.recipe.text import Place, Trail


@dataclass
class Source:
    """The values of a recipe and where each was set. Complete once `load_recipe` returns."""

    file: str
    text: str
    values: dict[str | int, Any]
    keys: dict[Trail, Place] = field(default_factory=dict)
    places: dict[Trail, Place] = field(default_factory=dict)
    overridden: dict[Trail, str] = field(default_factory=dict)
    """What an option of the command line set, and its text: `seed=4`."""

    def place(self, trail: Trail, at: Literal["key", "value"]) -> Place | str | None:
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

    def problem(self, trail: Trail, message: str, *, at: Literal["key", "value"] = "value", hint: str = "") -> Problem:
        """The problem with the key or the value at `trail`."""
        place = self.place(trail, at)
        if isinstance(place, str):
            return Problem(file=f"--set {place}", message=message, hint=hint)
        if place is None:
            return Problem(file=self.file, message=message, hint=hint)
        return Problem(
            file=self.file, line=place.line, column=place.column, length=max(1, place.length), message=message, hint=hint
        )

    def set(self, trail: Trail, value: Any, option: str) -> None:
        """Put a value at `trail`, whose parent exists, in place of what was there."""
        parent = self.at(trail[:-1])
        parent[trail[-1]] = value
        for table in (self.keys, self.places, self.overridden):
            for inner in [each for each in table if each[: len(trail)] == trail and each != trail]:
                del table[inner]
        self.overridden[trail] = option

    def at(self, trail: Trail) -> Any:
        """The value at `trail`, which exists."""
        value: Any = self.values
        for step in trail:
            value = value[step]
        return value

    def _option(self, trail: Trail) -> str | None:
        prefixes = (trail[:length] for length in range(len(trail), 0, -1))
        return next((self.overridden[each] for each in prefixes if each in self.overridden), None)
