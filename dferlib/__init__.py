"""Dynamic facial expression recognition: papers reproduced in notebooks."""

import os

__version__ = "0.1.0"

# Threads that wait for each other sleep instead of spinning, unless the user says otherwise: beside
# another busy process, spinning ones take the core from those they wait for. OpenMP reads it when
# torch is loaded, so a program that imports torch before this package keeps its own.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
