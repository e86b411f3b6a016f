"""What the fixtures of all datasets share: procedural films, and planting what may go wrong."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.media.video import import_av
from dferlib.synthface import expression_aus, render, sample_identities

RENDER_SIZE = 112  # pixels; enlarged into the picture, which saves most of the time
FACE_SHARE = 0.85  # side of the rendered square, of the picture's height
WALL = 0.45  # grey of everything around it
CODECS = {".avi": "mpeg4", ".mp4": "mpeg4", ".flv": "flv"}
Damage = Mapping[str, Callable[[Path], object]]


@dataclass(frozen=True)
class Picture:
    """One frame: RGB uint8 (H, W, 3) and its 68 landmarks in pixels."""

    pixels: np.ndarray
    landmarks: np.ndarray


def begin(
    folder: str | Path,
    layouts: Mapping[str, tuple[str, ...]],
    layout: str,
    known: Damage,
    pitfalls: Sequence[str],
) -> tuple[Path, ...]:
    """Make the folder and return those of the layout.

    DatasetError if it is not empty or a name is unknown.
    """
    folder = Path(folder)
    if layout not in layouts:
        raise DatasetError(f"layout is {layout!r}, allowed are {list(layouts)}")
    unknown = sorted(set(pitfalls) - set(known))
    if unknown:
        raise DatasetError(f"unknown pitfalls {unknown}, allowed are {list(known)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} is not an empty folder: a fixture is written into a new one")
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(folder / name for name in layouts[layout])


def film(
    seed: int,
    subject: int,
    label: str,
    length: int,
    size: tuple[int, int],
    *,
    yaw: float = 0.0,
    share: float = FACE_SHARE,
) -> Iterator[Picture]:
    """Frames of one expression from neutral to its peak, as pictures of (width, height).

    The head is turned by `yaw` (radians); the rendered square takes `share` of the height.
    """
    generator = torch.Generator().manual_seed(seed * 1009 + subject * 31 + sum(map(ord, label)))
    peak = expression_aus(label, 0.9, generator)
    rise = torch.linspace(0, 1, length)
    rise = (rise * rise * (3 - 2 * rise))[:, None, None]
    people = sample_identities(1, seed, start=subject).take(torch.zeros(length, dtype=torch.long))
    pose = (torch.rand(1, 3, generator=generator) - 0.5) * 0.1
    wall = torch.full((length, 3, RENDER_SIZE, RENDER_SIZE), WALL)
    shot = render(
        people,
        peak[None] * rise,
        size=RENDER_SIZE,
        pose=pose.expand(length, 3) * rise[:, 0] + torch.tensor([yaw, 0.0, 0.0]),
        background=wall,
        quality="fast",
        truth=True,
    )
    frames = (shot.image.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    for frame, landmarks in zip(frames, shot.landmarks.numpy(), strict=True):
        yield hang(frame, landmarks, size, share)


def hang(
    frame: np.ndarray, landmarks: np.ndarray, size: tuple[int, int], share: float = FACE_SHARE
) -> Picture:
    """Put the rendered square into the middle of a picture."""
    side = round(share * size[1])
    place = ((size[0] - side) // 2, size[1] - side)
    picture = Image.new("RGB", size, (round(WALL * 255),) * 3)
    picture.paste(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC), place)
    return Picture(np.asarray(picture), landmarks * (side / len(frame)) + np.array(place))


def image(picture: Picture, grey: bool) -> Image.Image:
    """A frame as an image, grey or in colour."""
    return Image.fromarray(picture.pixels).convert("L" if grey else "RGB")


def write_frames(
    folder: Path, pictures: Sequence[np.ndarray], names: Sequence[str], mode: str = "RGB"
) -> None:
    """Write RGB frames as images of these names; with `mode` "L" they are grey."""
    folder.mkdir(parents=True, exist_ok=True)
    for pixels, name in zip(pictures, names, strict=True):
        Image.fromarray(pixels).convert(mode).save(folder / name)


def shoot(
    seed: int, subject: int, label: str, length: int, size: tuple[int, int], **options: float
) -> list[np.ndarray]:
    """The pixels of `film`; who is calm looks neutral."""
    shown = "neutral" if label == "calm" else label
    return [picture.pixels for picture in film(seed, subject, shown, length, size, **options)]


def write_video(path: Path, pictures: Sequence[np.ndarray], fps: float = 25) -> None:
    """Encode RGB frames uint8 (H, W, 3) by the file's suffix; needs PyAV."""
    av = import_av()
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream(CODECS[path.suffix.lower()], rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for pixels in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write(path: Path, text: str) -> None:
    """Write a text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_workbook(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write a table as the smallest .xlsx that office programs read, every cell as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = ["".join(f'<c t="inlineStr"><is><t>{v}</t></is></c>' for v in row) for row in rows]
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    link = f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/book.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/sheet.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{link}officeDocument" Target="book.xml"/></Relationships>',
        "_rels/book.xml.rels": f'{link}worksheet" Target="sheet.xml"/></Relationships>',
        "book.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "sheet.xml": f'<worksheet xmlns="{main}"><sheetData>'
        + "".join(f"<row>{text}</row>" for text in cells)
        + "</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            # a fixed date, so that the same rows give the same bytes
            archive.writestr(zipfile.ZipInfo(name), text)


def plant(root: Path, known: Damage, pitfalls: Sequence[str]) -> Path:
    """Spoil a tree in the named ways; returns its root."""
    for name in pitfalls:
        known[name](root)
    return root


def find(root: Path, pattern: str) -> list[Path]:
    """Files below a folder by pattern, sorted."""
    return sorted(root.rglob(pattern))


def truncate(path: Path) -> None:
    """Leave only the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def keep_last(files: list[Path]) -> None:
    """Delete all but the last file."""
    for path in files[:-1]:
        path.unlink()
