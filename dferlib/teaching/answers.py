"""Comparing answers: numbers, arrays, words, sets and functions.

Numbers agree within a relative tolerance, words whatever their case and spaces, sets whatever the
order. A function is compared by what it returns for the exercise's own arguments.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor


def is_empty(answer: Any) -> bool:
    """Tell whether nothing was answered: None, ``...``, or an empty word or collection."""
    if answer is None or answer is ...:
        return True
    return isinstance(answer, str | list | tuple | set | dict) and not len(answer)


def is_function(answer: Any) -> bool:
    """Tell whether an answer is to be called: a function, a lambda or a class."""
    return callable(answer) and not isinstance(answer, Tensor)


def plain(value: Any) -> Any:
    """Return a value as it is compared: a set, a word without its case, or an array."""
    if isinstance(value, str):
        return value.strip().casefold()
    if isinstance(value, set | frozenset):
        return members(value)
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, pd.Series | pd.DataFrame):
        return value.to_numpy()
    if isinstance(value, Number | np.ndarray | np.generic | Sequence):
        return np.asarray(value)
    return value


def same(first: Any, second: Any, tolerance: float) -> bool:
    """Tell whether two values agree; numbers within `tolerance` of the second's size.

    A set agrees with a list of the same members. Values of different kinds do not agree.
    """
    one, two = plain(first), plain(second)
    if isinstance(two, frozenset):
        return hasattr(first, "__iter__") and members(first) == two
    if not isinstance(one, np.ndarray) or not isinstance(two, np.ndarray):
        return type(one) is type(two) and bool(one == two)
    if one.shape != two.shape:
        return False
    if {one.dtype.kind, two.dtype.kind} <= set("biuf"):
        # bool is a truth, not a one: an exercise that asks for one gets one
        if (one.dtype.kind == "b") != (two.dtype.kind == "b"):
            return False
        return bool(np.allclose(one, two, rtol=tolerance, atol=1e-9, equal_nan=True))
    if one.dtype.kind == two.dtype.kind == "U":
        return bool((np.char.lower(one) == np.char.lower(two)).all())
    return one.dtype.kind == two.dtype.kind and bool(np.array_equal(one, two))


def members(value: Any) -> frozenset:
    """Return the members of a collection, words without their case; none of anything else."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return frozenset()
    try:
        return frozenset(plain(item) if isinstance(item, str) else item for item in value)
    except TypeError:  # members that are collections themselves
        return frozenset()


class CallError(Exception):
    """A function that could not be tried; the message is for the one who wrote it."""


def call_all(function: Callable, calls: Sequence[tuple]) -> list[Any]:
    """Return what a function gives for each tuple of arguments, which it gets as copies.

    None for the first stops there: nothing is written yet. CallError, in words, where it raises, or
    returns nothing for a later one.
    """
    results = []
    for arguments in calls:
        shown = ", ".join(short(argument) for argument in arguments)
        try:
            result = function(*copy.deepcopy(arguments))
        except Exception as error:  # whatever a student's function may raise
            kind = type(error).__name__
            raise CallError(f"called with ({shown}) it stops: {kind}: {error}") from error
        if result is None and not results:
            return []
        if result is None:
            raise CallError(f"called with ({shown}) it returns nothing; is there a `return`?")
        results.append(result)
    return results


def short(value: Any) -> str:
    """Return a value in a few words, arrays by their shape."""
    if isinstance(value, np.ndarray | Tensor) and value.ndim:
        return f"array of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
