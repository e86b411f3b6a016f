"""Action units of the Facial Action Coding System, and the expressions made of them.

An intensity vector has shape (A, 2): one row per action unit in the order of `ACTION_UNITS`, the
viewer's left side of the face first; 0 is absent, 1 is strong. Which action units make which
expression follows the EMFACS/FACS-investigator prototypes; how much each one varies is ours.
"""

import torch
from torch import Tensor

AU_NAMES = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    18: "lip pucker",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip presser",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    43: "eyes closed",
}
ACTION_UNITS: tuple[int, ...] = tuple(AU_NAMES)
AU_INDEX: dict[int, int] = {au: index for index, au in enumerate(ACTION_UNITS)}

EXPRESSIONS = (
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
)

# Per expression: action units that are always there, {AU: strength}, and those that are there with
# a probability, {AU: (strength, probability)}.
REQUIRED: dict[str, dict[int, float]] = {
    "anger": {4: 1.0, 7: 0.7, 23: 0.85},
    "contempt": {14: 1.0, 12: 0.4},
    "disgust": {9: 1.0, 10: 1.0, 7: 0.4},
    "fear": {1: 1.0, 2: 0.75, 4: 0.7, 5: 1.0, 20: 1.0, 25: 0.9},
    "happiness": {6: 0.8, 12: 1.0},
    "sadness": {1: 1.0, 4: 0.6, 15: 1.0},
    "surprise": {1: 0.9, 2: 1.0, 5: 0.7, 25: 0.7, 26: 1.0},
    "neutral": {},
}
OPTIONAL: dict[str, dict[int, tuple[float, float]]] = {
    "anger": {
        5: (0.6, 0.5),
        9: (0.25, 0.2),
        10: (0.5, 0.35),
        16: (0.4, 0.25),
        17: (0.4, 0.35),
        24: (0.5, 1.0),  # but where the lips part
        25: (0.8, 0.3),
        26: (0.5, 0.2),
    },
    "contempt": {7: (0.2, 0.3), 24: (0.2, 0.2), 43: (0.15, 0.4)},
    "disgust": {
        4: (0.4, 0.4),
        6: (0.3, 0.4),
        15: (0.35, 0.25),
        16: (0.35, 0.3),
        17: (0.35, 0.35),
        25: (0.6, 0.7),
    },
    "fear": {7: (0.3, 0.3), 26: (0.35, 0.4)},
    "happiness": {25: (1.0, 0.7), 26: (0.35, 0.35), 7: (0.3, 0.2)},
    "sadness": {
        6: (0.2, 0.2),
        7: (0.25, 0.3),
        17: (0.7, 0.8),
        25: (0.4, 0.15),
        43: (0.2, 0.3),
    },
    "surprise": {27: (0.45, 0.6)},
    "neutral": {},
}
ONE_SIDED = frozenset({"contempt"})
JITTER = 0.25  # strength of each action unit varies by this share
ASYMMETRY = 0.10  # standard deviation of half the left-right difference, as a share
WEAK_SIDE = 0.08  # what the other side of a one-sided expression shows
STRONGEST = 1.1
PARTING = [AU_INDEX[au] for au in (25, 26, 27)]
LOOSENED = 0.5  # what AU 23 keeps where the lips part


def check_expression(name: str) -> None:
    """Raise a ValueError that lists the known expressions if `name` is none of them."""
    if name not in EXPRESSIONS:
        raise ValueError(f"unknown expression {name!r}; choose from: {', '.join(EXPRESSIONS)}")


def au_vector(strengths: dict[int, float | tuple[float, float]]) -> Tensor:
    """Make an intensity vector (A, 2) from {AU: strength} or {AU: (viewer-left, viewer-right)}.

    Raises:
        ValueError: if an action unit is not modelled.
    """
    vector = torch.zeros(len(ACTION_UNITS), 2)
    for au, strength in strengths.items():
        if au not in AU_INDEX:
            known = ", ".join(map(str, ACTION_UNITS))
            raise ValueError(f"action unit {au!r} is not modelled; choose from: {known}")
        vector[AU_INDEX[au]] = torch.as_tensor(strength, dtype=vector.dtype)
    return vector


def expression_aus(name: str, intensity: float, generator: torch.Generator) -> Tensor:
    """Draw one person's way to show an expression.

    Required action units are always there, optional ones by their probability; each strength
    varies by `JITTER`, each side by `ASYMMETRY`; contempt is shown on one side.

    Args:
        name: one of `EXPRESSIONS`.
        intensity: 0 (nothing) to 1 (full); scales all action units.
        generator: source of the variation; the same state gives the same vector.

    Returns:
        Intensities (A, 2), viewer-left and viewer-right, in [0, 1.1].

    Raises:
        ValueError: if the expression is unknown or the intensity is negative.
    """
    check_expression(name)
    if intensity < 0:
        raise ValueError(f"intensity must not be negative, got {intensity}")
    # All numbers are drawn whatever the expression, so that the stream stays in step.
    present = torch.rand(len(ACTION_UNITS), generator=generator)
    strength = 1 + JITTER * (2 * torch.rand(len(ACTION_UNITS), generator=generator) - 1)
    tilt = torch.randn(len(ACTION_UNITS), generator=generator).clamp(-2, 2) * ASYMMETRY
    strong_side = int(torch.rand((), generator=generator) < 0.5)

    peak = torch.zeros(len(ACTION_UNITS))
    for au, value in REQUIRED[name].items():
        peak[AU_INDEX[au]] = value
    for au, (value, probability) in OPTIONAL[name].items():
        if present[AU_INDEX[au]] < probability:
            peak[AU_INDEX[au]] = value
    if peak[PARTING].any():  # FACS: lips that part cannot be pressed
        peak[AU_INDEX[24]] = 0
        peak[AU_INDEX[23]] *= LOOSENED
    sides = (peak * strength)[:, None] * torch.stack([1 + tilt, 1 - tilt], 1)
    if name in ONE_SIDED:
        sides[:, 1 - strong_side] *= WEAK_SIDE
    return (sides * intensity).clamp(0, STRONGEST)


def expression_blend(
    name_a: str, name_b: str, weight: float, intensity: float, generator: torch.Generator
) -> Tensor:
    """Draw a blend of two expressions: `weight` of the second, the rest of the first.

    Returns:
        Intensities (A, 2), as from `expression_aus`.

    Raises:
        ValueError: if an expression is unknown or the weight lies outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must lie in [0, 1], got {weight}")
    a = expression_aus(name_a, intensity, generator)
    b = expression_aus(name_b, intensity, generator)
    return a * (1 - weight) + b * weight
