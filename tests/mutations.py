"""Seeded damage to a dataset's tree, and a process that shows damaged trees to the readers."""

import json
import os
import shutil
import struct
import sys
import time
import warnings
import zlib
from pathlib import Path

IMAGES, VIDEOS = (".png", ".jpg", ".jpeg"), (".avi", ".mp4", ".flv")
TEXTS = (".txt", ".csv", ".xml")
HUGE = 60_000  # pixels a side
BAD_NAME = os.fsdecode(b"caf\xe9")  # Latin-1, no UTF-8
XML = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    + b"".join(
        b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % ((code + 1,) + (code,) * 8)
        for code in range(98, 110)
    )
    + b']><a><Metatag Name="Emotion" Value="&m;"/></a>',
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a><track view="&b;"/></a>',
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a><Metatag Name="Emotion" Value="4"/></a>',
    b'<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///dev/zero"> %b;]><a/>',
    b"<a>" * 200_000 + b"</a>" * 200_000,
    b'<a><Metatag Name="Emotion" Value="' + b"4" * 3_000_000 + b'"/></a>',
    b'<a><track view="2" filename="' + b"../" * 50 + b'etc/passwd"/></a>',
    '<?xml version="1.0" encoding="utf-16"?><a><track view="0"/></a>'.encode("utf-16"),
    b'<?xml version="1.0" encoding="utf-7"?><a/>',
    b'<a><ActionUnit><Marker Type="2" Frame="999999999999"/></ActionUnit></a>',
    b'<a><ActionUnit><Marker Type="2" Frame="' + b"9" * 5000 + b'"/></ActionUnit></a>',
)
OTHER = (
    b"",
    b"<html>not found</html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n",
    b"PK\x03\x04" + bytes(60),
    b"\x80\x04\x95\x00\x00\x00\x00cos\nsystem\n",  # looks like a pickle
    b"GIF89a\xff\xff\xff\xff\x00\x00\x00" + bytes(40),
    b"RIFF\xff\xff\xff\x7fAVI LIST\xff\xff\xff\x7fhdrl" + bytes(80),
    b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, -HUGE, HUGE, 1, 24, *(0,) * 6),
    b"II*\x00\x08\x00\x00\x00\xff\xff" + bytes(90),
    b"\x00\x00\x00\x18ftypisom" + b"\xff" * 64,
    b"\xff\xfe" + "3.0".encode("utf-16-le"),
    bytes(range(256)) * 40,
)
TEXT = (
    "9" * 5000,
    "1e999",
    "nan nan\n" * 68,
    "inf 3\n" * 68,
    "1e12 -1e12\n1e7 1e7\n" * 34,
    "1e300 1e300\n" * 68,
    "1e400 -1e400\n" * 68,
    "1e30 1e30\n" * 68,
    "0 0\n" * 68,
    "x" * 2_000_000,
    '"unclosed\n' * 500,
    "\0\0\0",
    "video_name,label\n00001,1\n00001,2\n",
    "video_name,label\n" + "9" * 5000 + ",1\n",
    "video_name,label\n\u0664\u0665,\u0661\n\u00b2,1\n",  # digits, but not ours
    "path,label,subject\n",
    "path,label,subject\na,happy,\nb," + "h" * 200_000 + ",S\n",
    "path,label,subject,path\nAnger/S01,anger,S1,../../outside\n",
)
PATHS = ("../outside", "../../outside/secret.png", "/etc", "C:\\x", "a/../../outside", "\0", "~")


def some(rng, root, suffixes=(), folders=False):
    """A random file of a random type below a folder, or a random folder; None if there is none."""
    found = {}
    for path in sorted(Path(root).rglob("*")):
        if path.is_symlink() or path.is_dir() != folders:
            continue
        if not suffixes or path.suffix.lower() in suffixes:
            found.setdefault(path.suffix.lower(), []).append(path)
    if not found:
        return None
    kind = found[sorted(found)[rng.integers(len(found))]]
    return kind[rng.integers(len(kind))]


def pick(rng, things):
    """One of several things."""
    return things[int(rng.integers(len(things)))]


def truncate(rng, root):
    """Keep the beginning of a file."""
    path = some(rng, root)
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(len(data) + 1))])


def flip_bits(rng, root):
    """Flip up to 32 bits of a file, half of the time in its first bytes."""
    path = some(rng, root, pick(rng, (IMAGES, VIDEOS, TEXTS, ())))
    data = bytearray(path.read_bytes()) if path else bytearray()
    if not data:
        return False
    reach = min(len(data), pick(rng, (200, len(data))))
    for place in rng.integers(0, reach, int(rng.integers(1, 33))):
        data[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def scramble(rng, root):
    """Write noise over a stretch of a file."""
    path = some(rng, root, pick(rng, (IMAGES, VIDEOS, ())))
    data = bytearray(path.read_bytes()) if path else bytearray()
    start = int(rng.integers(len(data) + 1))
    noise = rng.bytes(int(rng.integers(1, 2000)))
    data[start : start + len(noise)] = noise
    if path:
        path.write_bytes(data)


def change_type(rng, root):
    """Put something else into a file, such as a web page or an archive."""
    some(rng, root).write_bytes(pick(rng, OTHER))


def exchange(rng, root):
    """Put a file's content under the name of one of another type."""
    data = some(rng, root).read_bytes()
    some(rng, root).write_bytes(data)


def huge_image(rng, root):
    """Declare an image of 60,000 pixels a side."""
    path = some(rng, root, IMAGES)
    if path is None:
        return False
    data = bytearray(path.read_bytes())
    if path.suffix == ".png":
        data[16:24] = struct.pack(">II", *pick(rng, ((HUGE, HUGE), (HUGE, 1), (2**31 - 1, 1))))
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:
        start = next((i for i in (data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) if i > 0), None)
        if start is None:
            return False
        data[start + 5 : start + 9] = struct.pack(">HH", HUGE, pick(rng, (HUGE, 500)))
    path.write_bytes(data)


def huge_video(rng, root):
    """Declare a video of 60,000 pixels a side, or of two thousand million frames."""
    path = some(rng, root, VIDEOS)
    if path is None:
        return False
    data = bytearray(path.read_bytes())
    start = data.find(b"avih")
    if start > 0:  # frames at 16, width and height at 32 after the chunk's head
        place, size = pick(rng, ((24, 1), (40, 2)))
        data[start + place : start + place + 4 * size] = struct.pack(
            f"<{size}I", *((2**31 - 1,) if size == 1 else (HUGE, HUGE))
        )
        for start in (data.find(b"strf"), data.find(b"strh")):
            offset = 12 if data[start + 3] == ord("f") else 40
            data[start + offset : start + offset + 4] = struct.pack("<I", 2**31 - 1)
    for name, offset in ((b"mp4v", 28), (b"avc1", 28), (b"stsz", 12)):
        start = data.find(name)
        if start > 0:
            data[start + offset : start + offset + 4] = struct.pack(">HH", HUGE, HUGE)
    if path.suffix == ".flv":
        data[4:64] = bytes(b | 0x70 for b in data[4:64])
    path.write_bytes(data)


def huge_number(rng, root):
    """Give a frame a number that nobody counts to."""
    path = some(rng, root, IMAGES)
    if path is None:
        return False
    digits = pick(rng, ("9" * 12, "9" * 180, "4294967296", "٣٤٥"))
    stem = path.stem.rstrip("0123456789")
    path.rename(path.with_name(f"{stem}{digits}{path.suffix}"))


def hostile_text(rng, root):
    """Write numbers out of range, endless lines, broken tables."""
    path = some(rng, root, TEXTS)
    if path is None:
        return False
    path.write_text(pick(rng, TEXT), encoding="utf-8")


def hostile_xml(rng, root):
    """Write XML that grows, reads other files, nests deeply, or is no text."""
    path = some(rng, root, (".xml",)) or some(rng, root, TEXTS)
    if path is None:
        return False
    path.write_bytes(pick(rng, XML))


def climb(rng, root):
    """Name paths outside the root in a table, a list of sessions or of exclusions."""
    path, target = some(rng, root, (".csv",)), pick(rng, PATHS)
    if path is None or rng.random() < 0.4:
        (root / "exclude.txt").write_text(target)
    elif b"video_name" in path.read_bytes():
        path.write_text(path.read_text() + f"{target},1\n")
    else:
        path.write_text(path.read_text() + f"{target},happy,S1\n")


def bad_name(rng, root):
    """Give a file or folder a name that is no UTF-8, or one with control characters."""
    path = some(rng, root, folders=rng.random() < 0.5)
    name = pick(rng, (BAD_NAME, "a\nb", "\x1b[2J", "a" * 200, ",", "\u202egnp", "'\"`"))
    keep = f"{name}{path.name}" if rng.random() < 0.5 else f"{name}_{path.name[-12:]}"
    path.rename(path.with_name(keep))


def bad_name_beside(rng, root):
    """Put something with such a name beside the others."""
    path = some(rng, root, folders=rng.random() < 0.5)
    name = pick(rng, (f"{BAD_NAME}{path.name}", f"{BAD_NAME}_777{path.suffix}", BAD_NAME))
    copy = shutil.copytree if path.is_dir() else shutil.copy
    copy(path, path.with_name(name))


def link_loop(rng, root):
    """Put a link to itself in a file's place, or one to a folder above into a folder."""
    if rng.random() < 0.5:
        path = some(rng, root, folders=rng.random() < 0.3)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(path.name)
    else:
        folder = some(rng, root, folders=True) or root
        name = pick(rng, ("loop", "001", "P001", "Sessions", "Anger", "00007"))
        target = pick(rng, ("..", ".", "../..", str(root)))
        if not (folder / name).exists():
            (folder / name).symlink_to(target, target_is_directory=True)


def link_out(rng, root):
    """Put a link to something else in a file's place: endless, empty, a folder, or nothing."""
    path = some(rng, root)
    path.unlink()
    path.symlink_to(
        pick(rng, ("/dev/zero", "/dev/null", "/proc", "/proc/self", "/etc/passwd", "gone", ".."))
    )


def pipe(rng, root):
    """Put a pipe in a file's place: whoever opens it waits for ever."""
    path = some(rng, root)
    path.unlink()
    os.mkfifo(path)


def file_or_folder(rng, root):
    """Put a folder in a file's place, or a file in a folder's."""
    path = some(rng, root, folders=rng.random() < 0.4)
    if path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(pick(rng, OTHER))
    else:
        path.unlink()
        path.mkdir()


def remove(rng, root):
    """Remove a file or a folder."""
    path = some(rng, root, folders=rng.random() < 0.5)
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def repeat(rng, root):
    """Copy a file or folder under a name that means the same."""
    path = some(rng, root, folders=rng.random() < 0.4)
    names = (path.name.upper(), path.name.lower(), f"0{path.name}", f"copy_{path.name}")
    target = path.with_name(pick(rng, names))
    if not target.exists():
        (shutil.copytree if path.is_dir() else shutil.copy)(path, target)


def archive(rng, root):
    """Put an archive with a path that climbs beside the others."""
    (some(rng, root, folders=True) / "Clip.zip").write_bytes(b"PK\x03\x04../../outside")


MUTATIONS = (
    *(truncate, flip_bits, scramble, change_type, exchange, huge_image, huge_video, huge_number),
    *(hostile_text, hostile_xml, climb, bad_name, bad_name_beside, link_loop, link_out, pipe),
    *(file_or_folder, remove, repeat, archive),
)


TAKE_AWAY = {"remove", "link_loop", "bad_name", "file_or_folder"}  # a smaller tree may be whole


def damage(rng, root, first):
    """Damage a tree in one way, and every fourth in two; returns what was done.

    `first` counts the ways up; where one does not fit the tree, the next one that does is taken.
    """
    wanted = [first, int(rng.integers(len(MUTATIONS)))][: 1 + (rng.random() < 0.25)]
    done = []
    for start in wanted:
        ways = (MUTATIONS[(start + step) % len(MUTATIONS)] for step in range(len(MUTATIONS)))
        done.append(next(mutate.__name__ for mutate in ways if mutate(rng, root) is not False))
    return done


def snapshot(folder, skip):
    """Every path below a folder but for one: what it is, how large, changed when, linked where."""
    found = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(place, name) != str(skip)]
        for name in (*folders, *files):
            path = os.path.join(place, name)
            state = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else ""
            found[path] = (state.st_mode, state.st_size, state.st_mtime_ns, link)
    return found


def read_everything(dataset, root, cache, faces=""):
    """Manifest, check and store of a tree: what came out, or the error's type and text.

    Texts call the tree's folder ROOT, so that those of two trees can be compared.
    """
    from dferlib.datasets import check, load_manifest, open_store

    def attempt(read):
        started = time.process_time()
        try:
            result = {"ok": read()}
        except Exception as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            result = {"error": str(error), "kinds": kinds}
        return {**result, "seconds": time.process_time() - started}

    def report():
        found = check(dataset, root, faces=faces)
        counts = dict(zip(found.counts["what"], map(int, found.counts["found"]), strict=True))
        told = [(finding.what, *finding.where) for finding in found.findings if not facts(finding)]
        told = [line.replace(str(root), "ROOT") for lines in told for line in lines]
        lists = {"errors": [*found.errors], "problems": [*found.problems], "told": told}
        return {**lists, "counts": counts, "text": str(found)}

    def facts(finding):
        """Whether a finding only compares with the counts of a whole copy."""
        return "copy that papers describe" in finding.what

    def store():
        build = {"source": "real", "data_root": root, "cache_dir": cache, "size": 16}
        quiet = {"workers": 1, "progress": False, "verify": True}
        found = open_store(dataset, **build, **quiet, faces=faces)
        rows = found.manifest.to_dict("records")
        content = {
            row["clip_id"]: {
                **{name: row[name] for name in ("label", "subject", "split", "apex", "onset")},
                "frames": [zlib.crc32(frame.tobytes()) for frame in found.clip(at)],
            }
            for at, row in enumerate(rows)
        }
        return {"clips": len(rows), "notes": dict(found.notes), "content": content}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "manifest": attempt(lambda: load_manifest(dataset, root)["clip_id"].tolist()),
            "check": attempt(report),
            "store": attempt(store),
        }


def peak_kb() -> int:
    """Most memory that this process had in use, in kB.

    Not `ru_maxrss`, which starts at what the process that started this one had in use.
    """
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def serve(memory):
    """Read what standard input names, a dataset, a folder and a cache a line, within a limit."""
    import resource

    answers = os.dup(1)
    os.dup2(2, 1)  # libraries that print do not disturb the answers
    import dferlib.datasets  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for line in sys.stdin:
        answer = read_everything(*json.loads(line))
        os.write(answers, (json.dumps({**answer, "peak_kb": peak_kb()}) + "\n").encode("ascii"))
