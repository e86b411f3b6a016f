"""Films that a notebook takes and gives: uploaded, drawn where there is none, and written on."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import ipywidgets
import numpy as np
from IPython.display import display

from dferlib.datasets.faces.finding import look
from dferlib.datasets.media.containers import import_av
from dferlib.datasets.media.footage import Footage
from dferlib.datasets.standins.trees.film import hang, write_video
from dferlib.evidence.runs import results_root
from dferlib.files import project_root, write_atomic
from dferlib.notebook.own_network import VideoError
from dferlib.notebook.own_video import Seen, Told
from dferlib.synthface import sample_identities
from dferlib.synthface.action_units import AU_NAMES
from dferlib.synthface.difficulty import find_difficulty
from dferlib.synthface.scene import film, make_scene

SHOWS, LENGTH, SIDE, PICTURE, SEED = ("surprise", "happiness"), 40, 96, (160, 120), 20
CODECS = ("libx264", "mpeg4")  # the first plays in a browser; the second every FFmpeg writes
INK, EDGE = (255, 255, 255), (0, 0, 0)
ORIGIN = "so says a network, not the person"
MOST_BYTES = 2_000_000  # of a film that is put into the notebook
NO_UPLOAD = "To upload a film, open this notebook in Jupyter; or name it with the parameter video."


class Film(NamedTuple):
    """A film to look at; `aus` (T, A, 2) are its action units where a program drew it."""

    path: Path
    aus: np.ndarray | None = None

    @property
    def drawn(self) -> bool:
        """Whether a program drew it, so that all about it is known."""
        return self.aus is not None

    def units(self, least: float = 0.2) -> dict[str, np.ndarray]:
        """Intensities (T,), mean of both sides, of the action units that reach `least`, by name.

        Empty for a film of a real person: this collection trains no network that measures them.
        """
        if self.aus is None:
            return {}
        means = self.aus.mean(2).T
        found = zip(AU_NAMES.items(), means, strict=True)
        return {f"AU {n} {name}": course for (n, name), course in found if course.max() >= least}


def films_folder(results_dir: str = "") -> Path:
    """Where this notebook writes: `out/try_it` of the checkout, which git ignores, or as asked."""
    root = results_root("synthetic", "smoke", results_dir)
    return root if results_dir else root.parent / "try_it"


def upload_widget() -> ipywidgets.FileUpload:
    """Show a button that takes one film, and return it; a front end without widgets says how."""
    button = ipywidgets.FileUpload(accept="video/*", multiple=False, description="a video")
    still = {"text/html": f"<p>{NO_UPLOAD}</p>", "text/plain": NO_UPLOAD}
    display({**button._repr_mimebundle_(), **still}, raw=True)
    return button


def choose_film(video: str, uploaded: Any, folder: Path) -> Film:
    """The film that was uploaded, else the one named, else one that is drawn into `folder`.

    VideoError naming the file if there is none of this name.
    """
    if uploaded is not None and uploaded.value:
        (item,) = uploaded.value
        path = folder / "uploaded" / Path(item["name"]).name
        return Film(write_atomic(path, lambda file: file.write(item["content"])))
    if not video:
        return draw_film(folder / "drawn.mp4")
    path = Path(video).expanduser()
    if not path.is_file():
        raise VideoError(
            f"video is {video!r}, and there is no such file; name one, or leave it empty"
        )
    return Film(path)


def draw_film(path: Path) -> Film:
    """Draw a person who looks surprised and then happy, at rest between, and write it as a film."""
    people, easy = sample_identities(2, SEED), find_difficulty("clean")
    scenes = [
        make_scene(
            "neutral_peak_neutral", name, LENGTH, easy, ("try it", name), ("try it",), people
        )
        for name in SHOWS
    ]
    frames, truth = film(scenes, SIDE)
    marks = truth["landmarks"]
    pictures = [hang(*pair, PICTURE).pixels for pair in zip(frames, marks, strict=True)]
    write_video(path, pictures)
    return Film(path, truth["aus"].astype(np.float64))


def annotate(seen: Seen, told: Told, path: Path) -> int:
    """Write the film again with the face's box and what was said of it; returns its frames.

    As H.264 where the FFmpeg at hand has it, which a browser plays, else as MPEG-4. A side of odd
    length loses a pixel.
    """
    count = 0
    with _writing(path, seen.fps) as write:
        for count, frame in enumerate(Footage((), str(seen.path)), start=1):
            picture, place = look(frame, seen.view), min(count, len(seen.windows)) - 1
            write(_write_on(picture, seen.windows[place], told, place))
    return count


def show_film(path: Path) -> None:
    """Show a written film where it is small, and say where it lies: from the checkout's folder."""
    root = project_root()
    inside = root is not None and path.is_relative_to(root)
    said = f"Written: {path.relative_to(root) if inside else path.name}, {ORIGIN}."
    page = f"<p>{html.escape(said)}</p>"
    if path.stat().st_size <= MOST_BYTES:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        label = "The film again, with a square around the face and what the network says of it."
        page += f'<video controls muted width="480" aria-label="{label}" '
        page += f'src="data:video/mp4;base64,{data}"></video>'
    display({"text/html": page, "text/plain": said}, raw=True)


def _write_on(picture: np.ndarray, window: np.ndarray, told: Told, frame: int) -> np.ndarray:
    """A frame (H, W, 3) with the outline of its window and the words of the nearest one."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    picture = np.ascontiguousarray(picture[:height, :width])
    x, y, side, angle = window
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * side / 2
    corners = (square @ turn.T + (x, y)).round().astype(np.int32)
    thin = max(1, width // 320)
    cv2.polylines(picture, [corners], True, EDGE, 3 * thin, cv2.LINE_AA)
    cv2.polylines(picture, [corners], True, INK, thin, cv2.LINE_AA)
    row = told.at(frame)
    top = told.top[row]
    share = f" ({told.classes[top]} {100 * told.mean[row, top]:.0f} %)"
    scale = width / 640
    for text, line in ((told.named[row] + share, 1), (ORIGIN, height / scale / 24 - 1)):
        spot = (round(8 * scale), round(24 * scale * line))
        for colour, wide in ((EDGE, 4), (INK, 1)):
            wide = max(1, round(wide * scale))
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(picture, text, spot, font, 0.7 * scale, colour, wide, cv2.LINE_AA)
    return picture


@contextmanager
def _writing(path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """What takes the frames of a film one by one, so that none are kept."""
    av = import_av()
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = next(name for name in CODECS if name in av.codecs_available or name == CODECS[-1])
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.pix_fmt, stream.width = "yuv420p", 0

        def write(picture: np.ndarray) -> None:
            if not stream.width:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())
