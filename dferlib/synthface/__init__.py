"""Procedural faces that show facial actions: identities, action units, images and their truth.

No dataset licence is needed, everything is known about every frame (action units, landmarks, moved
regions), and the difficulty is an argument. `render` turns identities and action units into frames;
`timecourse` and `nuisance` make clips of them.
"""

from dferlib.synthface.action_units import (
    ACTION_UNITS,
    AU_INDEX,
    AU_NAMES,
    EXPRESSIONS,
    au_vector,
    expression_aus,
    expression_blend,
)
from dferlib.synthface.identity import Identity, sample_identities, seeded_generator
from dferlib.synthface.render import FACE_VERSION, QUALITIES, Rendered, render
from dferlib.synthface.shading import Light, default_light

__all__ = [
    "ACTION_UNITS",
    "AU_INDEX",
    "AU_NAMES",
    "EXPRESSIONS",
    "FACE_VERSION",
    "QUALITIES",
    "Identity",
    "Light",
    "Rendered",
    "au_vector",
    "default_light",
    "expression_aus",
    "expression_blend",
    "render",
    "sample_identities",
    "seeded_generator",
]
