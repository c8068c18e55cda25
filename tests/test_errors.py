"""The error tree is the one that its docstring draws."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from juicecap import errors

KINDS = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.JuicecapError)}


def drawn() -> dict[str, str | None]:
    """Name of each error in the drawing -> exit code, where one stands."""
    lines = re.findall(r"^[ │├└─]*(\w+(?:Error|Failure|Library))\b(?:.*exit (\d+))?", errors.__doc__ or "", re.MULTILINE)
    return {name: code or None for name, code in lines}


def test_the_drawing_holds_every_error_and_no_other():
    assert set(drawn()) == set(KINDS)


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, code in drawn().items() if code])
def test_exit_codes_are_those_of_the_drawing(name, code):
    assert KINDS[name].exit_code == int(code)


def test_parents_are_those_of_the_drawing():
    assert issubclass(errors.MissingLibrary, errors.EnvironmentFailure)
    assert issubclass(errors.MediaError, errors.SampleError)


def test_a_sample_error_says_code_and_message():
    error = errors.MediaError("UNREADABLE", "a.mp4 is empty", retryable=True)
    assert str(error) == "UNREADABLE: a.mp4 is empty"
    assert (error.code, error.message, error.retryable) == ("UNREADABLE", "a.mp4 is empty", True)
    assert errors.SampleError("NO_VIDEO", "none").retryable is False


def test_a_missing_library_says_how_to_get_it():
    assert str(errors.MissingLibrary("torch", "hf")) == 'torch is not installed. Install it with: pip install "juicecap[hf]"'


def test_settings_errors_name_the_op_in_each_sentence():
    error = errors.SettingsError("shout_mapper", [("volume", "volume is too high"), ("echo", "echo is not there")])
    assert str(error) == "shout_mapper: volume is too high\nshout_mapper: echo is not there"
    assert error.problems == [("volume", "volume is too high"), ("echo", "echo is not there")]


@pytest.mark.parametrize(
    "error",
    [
        errors.MissingLibrary("torch", "hf"),
        errors.MediaError("UNREADABLE", "a.mp4 is empty", retryable=True),
        errors.SettingsError("op", [("a", "b")]),
        errors.RecipeError("report", ["problem"]),
    ],
)
def test_errors_survive_the_way_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
