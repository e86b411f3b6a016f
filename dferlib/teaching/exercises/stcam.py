"""Exercises of the STCAM notebook whose answers do not depend on a run."""

from __future__ import annotations

from dferlib.teaching.exercise import Exercise, Mistake

EXERCISES = (
    Exercise(
        key="stcam.1",
        expected=1,
        mistakes=(
            Mistake(
                4,
                "Equation 4 pools for STAM, which now comes first and reads what it read "
                "without 3D-CAM. What does 3D-CAM pool?",
            ),
            Mistake(2, "Equation 2 reads the pooled vectors; the change comes in one step before."),
            Mistake(3, "Equation 3 multiplies; look at how its weights come about.", kind="wrong"),
        ),
        hint="Which equation pools the features for 3D-CAM?",
        well="Its means become weighted means over time and place.",
    ),
    Exercise(
        key="stcam.4",
        expected=4,
        mistakes=(
            Mistake(398.4, "Divide by a hundred: the gain is in per cent."),
            Mistake(3.984, "Clips are whole; round it."),
            Mistake(0.83, "That is the gain in points."),
        ),
        hint="0.83 / 100 times 480.",
        well="Four clips, which one person more or less can bring.",
        tolerance=1e-6,
    ),
)
