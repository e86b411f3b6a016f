"""Who the procedural people of a stand-in are: skin, age and sex as they were drawn.

Real data name none of these, and nobody should guess them from pictures. Of procedural faces they
are known, so that accuracy by group can be measured: see `evidence.groups`.

Skin is grouped by the individual typology angle, arctan((L* - 50) / b*) in degrees (Chardon,
Cretois and Hourseau 1991), of the skin's colour read as sRGB, which spans all of its six classes;
two of them make a group each.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from dferlib.datasets.standins.plans import STANDINS, full_roster
from dferlib.synthface import sample_identities

TRAITS = ("skin", "age", "sex")
TONES = ("brown and dark", "intermediate and tan", "light")
TONE_ENDS = (10.0, 41.0)  # degrees of the angle
YOUNGEST, OLDEST = 18, 75  # years, at the ends of the trait
AGES = ("under 35", "35 to 54", "55 and over")
AGE_ENDS = (35.0, 55.0)
SEXES = ("female", "male")


def describe_people(name: str) -> pd.DataFrame:
    """Return a row per subject of a stand-in: subject, and its group of each of `TRAITS`.

    The people are those of the whole stand-in, whatever fraction was rendered. KeyError for a name
    that is no stand-in.
    """
    roster = full_roster(name).drop_duplicates("subject")
    people = sample_identities(int(roster["face"].max()) + 1, STANDINS[name].seed)
    faces = roster["face"].to_numpy()
    angles = typology_angle(people.skin.numpy()[faces])
    years = YOUNGEST + (OLDEST - YOUNGEST) * people.age.numpy()[faces]
    groups = {
        "skin": np.array(TONES)[np.digitize(angles, TONE_ENDS)],
        "age": np.array(AGES)[np.digitize(years, AGE_ENDS)],
        "sex": np.array(SEXES)[people.male.numpy()[faces].astype(int)],
    }
    return pd.DataFrame({"subject": roster["subject"].to_numpy(), **groups})


def typology_angle(skin: np.ndarray) -> np.ndarray:
    """Return the individual typology angle (N,) in degrees of colours (N, 3), sRGB in 0 to 1."""
    pixels = np.asarray(skin, dtype=np.float32)[None]
    lightness, _, yellow = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_RGB2Lab)[0], -1, 0)
    return np.degrees(np.arctan2(lightness - 50, yellow))
