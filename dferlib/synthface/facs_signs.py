"""What each action unit must do to the landmarks, as FACS prescribes it.

`measure` reads distances from projected landmarks, `AU_EFFECTS` says which of them an action unit
raises (+1) or lowers (-1). Bars and tests compare the two; nothing in the renderer reads this.
"""

from torch import Tensor

LEFT_INNER_BROW, RIGHT_INNER_BROW = 21, 22
LEFT_OUTER_BROW, RIGHT_OUTER_BROW = 17, 26
LEFT_INNER_EYE, RIGHT_INNER_EYE = 39, 42
LEFT_OUTER_EYE, RIGHT_OUTER_EYE = 36, 45
CHIN = 8

AU_EFFECTS: dict[int, dict[str, int]] = {
    1: {"inner_brow_height": 1},
    2: {"outer_brow_height": 1},
    4: {"inner_brow_height": -1, "brow_gap": -1},
    5: {"upper_lid_height": 1, "eye_opening": 1},
    6: {"lower_lid_height": 1, "eye_opening": -1},
    7: {"lower_lid_height": 1, "eye_opening": -1},
    9: {"nose_wing_height": 1, "inner_brow_height": -1},
    10: {"upper_lip_height": 1},
    12: {"corner_height": 1, "mouth_width": 1},
    14: {"corner_height": 1, "mouth_width": 1},
    15: {"corner_height": -1},
    16: {"lower_lip_height": -1},
    17: {"lower_lip_height": 1},
    18: {"mouth_width": -1},
    20: {"mouth_width": 1},
    23: {"lip_thickness": -1},
    24: {"lip_thickness": -1},
    25: {"lip_gap": 1},
    26: {"lip_gap": 1, "chin_height": -1},
    27: {"lip_gap": 1, "chin_height": -1, "mouth_width": -1},
    43: {"eye_opening": -1},
}


def measure(landmarks: Tensor) -> dict[str, Tensor]:
    """Measure frontal faces: heights grow upwards, everything in units of the eyes' distance.

    Args:
        landmarks: (B, 68, 2) pixels, iBUG order.

    Returns:
        Distances (B,) by the names that `AU_EFFECTS` uses.
    """
    x, y = landmarks.unbind(-1)
    height = -y
    eye_line = (height[:, LEFT_INNER_EYE] + height[:, RIGHT_INNER_EYE]) / 2
    scale = x[:, RIGHT_OUTER_EYE] - x[:, LEFT_OUTER_EYE]

    def level(*points: int) -> Tensor:
        return height[:, list(points)].mean(1) - eye_line

    upper_lid, lower_lid = level(37, 38, 43, 44), level(40, 41, 46, 47)
    found = {
        "inner_brow_height": level(LEFT_INNER_BROW, RIGHT_INNER_BROW),
        "outer_brow_height": level(LEFT_OUTER_BROW, RIGHT_OUTER_BROW),
        "brow_gap": x[:, RIGHT_INNER_BROW] - x[:, LEFT_INNER_BROW],
        "upper_lid_height": upper_lid,
        "lower_lid_height": lower_lid,
        "eye_opening": upper_lid - lower_lid,
        "nose_wing_height": level(31, 35),
        "corner_height": level(48, 54),
        "mouth_width": x[:, 54] - x[:, 48],
        "upper_lip_height": level(51),
        "lower_lip_height": level(57),
        "lip_thickness": level(51) - level(62) + level(66) - level(57),
        "lip_gap": level(62) - level(66),
        "chin_height": level(CHIN),
    }
    return {name: value / scale for name, value in found.items()}
