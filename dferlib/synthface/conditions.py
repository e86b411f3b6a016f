"""The same clip under other conditions: seen from the front in even light, turned away, badly lit.

Identity, Action Units and background of the scene stay; head pose and light are set, and whatever
else spoils the picture is taken away, so that two conditions differ in nothing but what their names
say. A turned face lies elsewhere in the picture: cut it out anew.
"""

from dataclasses import replace

import torch

from dferlib.synthface.nuisance import SUBJECT, Nuisances
from dferlib.synthface.scene import Scene
from dferlib.synthface.shading import Light, default_light

CONDITIONS = ("ideal", "deflected", "badly lit")
DEFLECTION = (0.65, 0.08, 0.1)  # yaw, pitch and roll of the turned head, rad: 37, 5 and 6 degrees
SIDE = (-1.0, 0.25, 0.3)  # towards the one hard light of the badly lit face
HARDER, DARKER = 1.5, 0.2  # that light, and what the others keep


def under_condition(scene: Scene, condition: str) -> Scene:
    """Return the scene under one of CONDITIONS; ValueError for another name."""
    if condition not in CONDITIONS:
        raise ValueError(f"condition is {condition!r}; valid: {', '.join(CONDITIONS)}")
    length = len(scene.plan)
    pose, light = torch.zeros(length, 3), default_light(length, "cpu")
    if condition == "deflected":
        pose = torch.tensor(DEFLECTION).expand(length, 3)
    elif condition == "badly lit":
        light = _from_one_side(light)
    plan = replace(scene.plan, pose=pose, light=light)
    return replace(scene, plan=plan, nuisances=_clear(scene.nuisances))


def _from_one_side(light: Light) -> Light:
    return replace(
        light,
        key=torch.tensor(SIDE).expand_as(light.key),
        key_color=light.key_color * HARDER,
        fill_color=light.fill_color * DARKER,
        ambient=light.ambient * DARKER,
    )


def _clear(nuisances: Nuisances) -> Nuisances:
    """Nothing in front of the face, nobody else, no blur, noise or compression."""
    return replace(
        nuisances,
        shows=torch.full_like(nuisances.shows, SUBJECT),
        occluder=torch.zeros_like(nuisances.occluder),
        blur=torch.zeros_like(nuisances.blur),
        noise=torch.zeros_like(nuisances.noise),
        compression=torch.zeros_like(nuisances.compression),
    )
