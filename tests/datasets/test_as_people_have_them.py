"""Trees as people have them: spread, doubled, converted, renamed, in any script; all readers."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dferlib.datasets import DatasetError, check, load_manifest
from dferlib.datasets.__main__ import main
from dferlib.datasets.doctor.diagnosis import same_names
from dferlib.datasets.readers.frames import ordered_frames
from dferlib.datasets.sources import scan_dataset

pytestmark = pytest.mark.filterwarnings("ignore:.* says more")
LABELS = ("anger", "fear", "happiness")


def picture(value=90):
    noise = np.random.default_rng(value).integers(0, 99, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(noise + np.uint8(value % 99))


def frames(folder, names, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, start=first):
        kind = "PNG" if name.lower().endswith("png") else "JPEG"
        picture(number).save(folder / name, kind)


def video(path, count=3):
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {".avi": "mpeg4", ".mp4": "mpeg4", ".flv": "flv", ".mov": "mpeg4"}[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_image(picture(number))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def ckplus(root, person):
    start = f"S{person:03d}_001_0000000"
    names = [f"{start}{number}" for number in (1, 2, 3)]
    frames(root / f"cohn-kanade-images/S{person:03d}/001", [f"{n}.png" for n in names], person)
    text(root / f"Emotion/S{person:03d}/001/{start}3_emotion.txt", "   3.0000000e+00\n")


def oulu(root, person):
    for label in LABELS:
        place = root / f"VL/Strong/P{person:03d}/{label.capitalize()}"
        frames(place, ["000.jpeg", "001.jpeg", "002.jpeg"], person)


def bu4dfe(root, person):
    for label in LABELS:
        frames(root / f"F{person:03d}/{label.capitalize()}", ["000.jpg", "001.jpg"], person)


def mmi(root, person):
    place, name = root / f"Sessions/{person}", f"S{person:03d}-001"
    video(place / f"{name}.avi")
    text(place / "session.xml", f'<s><track filename="{name}.avi" view="0"/></s>')
    text(place / f"{name}.xml", '<s><Metatag Name="Emotion" Value="4"/></s>')


def afew(root, person):
    for split in ("Train_AFEW", "Val_AFEW"):
        name = f"{person:09d}"
        faces = root / f"{split}/AlignedFaces_LBPTOP_Points/Faces/{name}"
        frames(faces, ["001.jpg", "002.jpg"], person)
        video(root / f"{split}/Happy/{name}.avi")


def dfew(root, person):
    frames(root / f"Clip/clip_224x224/{person:05d}", ["1.jpg", "2.jpg"], person)


def dfew_lists(root):
    for fold in range(1, 6):
        rows = "".join(f"{n},{n % 7 + 1}\n" for n in range(1, 6) if n == fold)
        text(root / f"EmoLabel_DataSplit/test(single_labeled)/set_{fold}.csv",
             f"video_name,label\n{rows}")  # fmt: skip


def cremad(root, person):
    for emotion in ("ANG", "HAP"):
        video(root / f"{1000 + person}_DFA_{emotion}_XX.flv")


def ravdess(root, person):
    video(root / f"Video_Speech_Actor_{person:02d}/02-01-03-01-01-01-{person:02d}.mp4")


def folder(root, person):
    for label in LABELS:
        frames(root / f"{label}/{person}", ["1.png", "2.png", "10.png"], person)


WRITE = {f.__name__: f for f in (ckplus, oulu, bu4dfe, mmi, afew, dfew, cremad, ravdess, folder)}
READ_IN_PARTS = [name for name in WRITE if name != "folder"]
PEOPLE = range(1, 6)


def write(dataset, root, people=PEOPLE):
    if dataset == "dfew":
        dfew_lists(root)
    for person in people:
        WRITE[dataset](root, person)
    return root


@pytest.mark.parametrize("dataset", READ_IN_PARTS)
def test_people_spread_over_folders_are_all_read(dataset, tmp_path):
    whole = load_manifest(dataset, write(dataset, tmp_path / "whole"))
    spread = tmp_path / "spread"
    for person in PEOPLE:
        WRITE[dataset](spread / ("part1", "part2", f"x{person}")[person // 2], person)
    if dataset == "dfew":
        dfew_lists(spread)
    assert load_manifest(dataset, spread).equals(whole)


@pytest.mark.parametrize("dataset", READ_IN_PARTS)
def test_a_second_place_is_named_and_stops_where_its_files_differ(dataset, tmp_path):
    root = write(dataset, tmp_path / "data")
    whole = load_manifest(dataset, root)
    WRITE[dataset](root / "again", 2)
    found = scan_dataset(dataset, root)
    assert len(found.clips) == len(whole)
    assert any("there twice with the same files" in line and "again" in line
               for line in found.problems)  # fmt: skip
    for path in sorted((root / "again").rglob("*")):
        if path.suffix in (".avi", ".flv", ".mp4", ".jpeg", ".jpg", ".png"):
            path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DatasetError, match=r"lies in two places with different files, .*again"):
        load_manifest(dataset, root)


UNREAD = {
    "ckplus": ("cohn-kanade-images/S002/001", ["img (1).png", "a.heic"]),
    "oulu": ("VL/Strong/P002/Anger", ["img (1).png", "003.jfif", "a.heic"]),
    "bu4dfe": ("F002/Anger", ["img (1).png", "002.jfif", "a.heic"]),
    "afew": ("Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000000002", ["img (1).png", "a.heic"]),
    "dfew": ("Clip/clip_224x224/00002", ["img (1).png", "a.heic"]),
    "folder": ("anger/2", ["img (1).png", "a.heic", "cover.png"]),
    "cremad": (".", ["1002-DFA-SAD-XX.flv"]),
    "ravdess": ("Video_Speech_Actor_02", ["02-01-03-01-01-01.mp4"]),
    "mmi": ("Sessions/2", ["S002-001 copy.mp4"]),
}


@pytest.mark.parametrize("dataset", WRITE)
def test_what_looks_like_a_frame_or_clip_and_is_not_read_is_named(dataset, tmp_path):
    root = write(dataset, tmp_path)
    whole = load_manifest(dataset, root)
    place, names = UNREAD[dataset]
    for name in names:
        (root / place / name).write_bytes(b"not looked at")
    (root / place / "._001.png").write_bytes(b"")  # of a Mac
    report = check(dataset, root, decode=False)
    assert load_manifest(dataset, root).equals(whole)
    (line,) = report.doubts
    count = "1 file looks like" if len(names) == 1 else f"{len(names)} files look like"
    assert count in line
    assert all(name in line for name in names)
    assert [f.level for f in report.findings if f.where == report.doubts] == ["look"]
    with pytest.warns(UserWarning, match="look.? like"):
        load_manifest(dataset, root)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["0.70", "0.90", "1.10", "1.30", "1.50"], ["0.70", "0.90", "1.10", "1.30", "1.50"]),
        (["10", "9", "2"], ["2", "9", "10"]),
        (["img (10)", "img (9)"], ["img (9)", "img (10)"]),
        (["s1_f9", "s2_f1", "s1_f10"], ["s1_f9", "s1_f10", "s2_f1"]),
        (["00012_00034", "00012_00005"], ["00012_00005", "00012_00034"]),
        (["a_1", "b_2", "c_3"], ["a_1", "b_2", "c_3"]),
        (["1", "2", "3", "img (1)"], ["1", "2", "3"]),
        (["7"], ["7"]),
        (["cover", "1", "2"], ["1", "2"]),
    ],
)
def test_frames_come_in_the_order_of_their_whole_names(tmp_path, names, wanted):
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(b"")
    assert [path.stem for path in ordered_frames(tmp_path)] == wanted


@pytest.mark.parametrize(
    ("names", "by_name", "by_last"),
    [
        (["0.7", "0.75", "0.8"], ["0.7", "0.8", "0.75"], ["0.7", "0.8", "0.75"]),
        (["happy_2", "neutral_1"], ["happy_2", "neutral_1"], ["neutral_1", "happy_2"]),
        (["847_1", "123_2"], ["123_2", "847_1"], ["847_1", "123_2"]),
        (["a_1", "a_2", "b_1", "b_0"], None, None),
    ],
)
def test_an_order_that_names_do_not_tell_is_asked(tmp_path, names, by_name, by_last):
    for name in names:
        (tmp_path / f"anger/x/{name}.png").parent.mkdir(parents=True, exist_ok=True)
        picture().save(tmp_path / f"anger/x/{name}.png")
    if by_name is None:  # parts with numbers of their own: one after the other
        ordered = [path.stem for path in ordered_frames(tmp_path / "anger/x", "name")]
        assert ordered == ["a_1", "a_2", "b_0", "b_1"]
        return
    with pytest.raises(DatasetError, match=r"which order have the frames of .*x: .* Rename them"):
        load_manifest("folder", tmp_path)
    for order, wanted in (("name", by_name), ("last number", by_last)):
        (clip,) = scan_dataset("folder", tmp_path, {"order": order}).clips
        assert [Path(frame).stem for frame in clip.frames] == wanted


FORMATS = {
    "cremad": ("1002_DFA_ANG_XX.flv", "1002_DFA_ANG_XX.mp4"),
    "ravdess": ("Video_Speech_Actor_02/02-01-03-01-01-01-02.mp4",) * 2,
    "afew": ("Val_AFEW/Happy/000000002.avi", "Val_AFEW/Happy/000000002.mp4"),
    "folder": ("anger/a.avi", "anger/a.mp4"),
    "dfew": ("Clip/original/00002.mp4", "Clip/original/00002.avi"),
}


@pytest.mark.parametrize("dataset", FORMATS)
def test_a_converted_copy_is_named_and_can_be_chosen(dataset, tmp_path):
    root = write(dataset, tmp_path, PEOPLE if dataset == "dfew" else (1, 2))
    options = {"images": "videos"} if dataset in ("afew", "dfew") else {}
    if dataset == "dfew":
        for number in PEOPLE:
            video(root / f"Clip/original/{number:05d}.mp4")
    own, other = (root / name for name in FORMATS[dataset])
    if own == other:
        other = own.with_suffix(".mov")
    video(own)
    whole = load_manifest(dataset, root, **options)
    video(other, 4)
    found = scan_dataset(dataset, root, options)
    assert [clip.row() for clip in found.clips] == [
        clip.row() for clip in scan_dataset(dataset, root, options).clips
    ]
    assert len(found.clips) == len(whole)
    (line,) = found.doubts
    assert f"{own.name} and " in line
    assert other.name in line
    assert f"prefer='{other.suffix[1:]}' takes the other" in line
    assert str(own) in {clip.video for clip in found.clips}
    chosen = scan_dataset(dataset, root, {**options, "prefer": other.suffix[1:]})
    assert str(other) in {clip.video for clip in chosen.clips}
    assert chosen.doubts == ()
    with pytest.raises(DatasetError, match="prefer is 'mkv', but no clip"):
        scan_dataset(dataset, root, {**options, "prefer": "mkv"})


def table(root, header, *rows):
    for row in rows:
        frames(root / row.split(",")[0], ["1.png", "2.png", "3.png"])
    text(root / "labels.csv", "\n".join([header, *rows, ""]))
    return root


ROWS = ("a1,anger,S1", "a2,fear,S1", "b1,anger,S2", "b2,fear,S2", "c1,anger,S3", "c2,fear,S3")


@pytest.mark.parametrize(
    "name", ["subject", "Subject", " SUBJECT_ID", "participant-id", "Actor", "speaker", "Person"]
)
def test_subjects_under_the_usual_names(tmp_path, name):
    manifest = load_manifest("folder", table(tmp_path, f"Path,LABEL,{name}", *ROWS))
    assert manifest["subject"].tolist() == ["S1", "S1", "S2", "S2", "S3", "S3"]


def test_a_column_that_looks_like_subjects_is_asked_about(tmp_path):
    root = table(tmp_path, "path,label,who", *ROWS)
    report = check("folder", root, decode=False)
    assert report.verdict.startswith("NOT READY")
    with pytest.raises(DatasetError, match=r"column 'who' looks like them.* subject='none'"):
        load_manifest("folder", root)
    assert load_manifest("folder", root, subject="who")["subject"].nunique() == 3
    assert load_manifest("folder", root, subject="none")["subject"].nunique() == 6
    with pytest.raises(DatasetError, match="has no column 'whom'"):
        load_manifest("folder", root, subject="whom")
    rows = [row[:-2] + str(number) for number, row in enumerate(ROWS)]  # a number for each clip
    assert load_manifest("folder", table(tmp_path, "path,label,take", *rows)) is not None


def test_gaps_and_two_columns_of_subjects_are_said(tmp_path):
    gaps = [ROWS[0], "a2,fear,", *ROWS[2:]]
    (line,) = check("folder", table(tmp_path, "path,label,subject", *gaps), decode=False).doubts
    assert line.startswith("1 clip has no subject in labels.csv, a2: ")
    both = [f"{row},X" for row in ROWS]
    with pytest.raises(DatasetError, match="two columns of subject, 'subject' and 'Actor'"):
        load_manifest("folder", table(tmp_path, "path,label,subject,Actor", *both))


def test_one_person_spelt_in_two_ways_is_a_stop(tmp_path):
    rows = [*ROWS[:4], "c1,anger,s_01", "c2,fear,S3"]
    report = check("folder", table(tmp_path, "path,label,subject", *rows), decode=False)
    assert [f.what for f in report.findings if f.level == "stop"] == [
        "subjects S1, s_01 look like one person"
    ]


ACCENT = "José"
COMPOSED, APART = (unicodedata.normalize(form, ACCENT) for form in ("NFC", "NFD"))


def test_one_name_in_two_unicode_forms_is_one_name(tmp_path):
    rows = [f"{COMPOSED}1,anger,{COMPOSED}", f"{COMPOSED}2,fear,{APART}", *ROWS[:4]]
    root = table(tmp_path, "path,label,subject", *rows)
    (root / f"{COMPOSED}2").rename(root / f"{APART}2")  # as another disk writes it
    manifest = load_manifest("folder", root)
    assert manifest["subject"].tolist()[:2] == [COMPOSED, COMPOSED]
    assert manifest["clip_id"].tolist()[:2] == [f"{COMPOSED}1", f"{COMPOSED}2"]
    text(root / "exclude.txt", f"{APART}1\n")
    assert load_manifest("folder", root)["clip_id"].tolist()[0] == f"{COMPOSED}2"
    assert len(load_manifest("folder", root, exclude=[f"{APART}2"])) == 4


def test_names_are_compared_by_letters_of_any_script():
    assert same_names(["김민준", "이서연", "박지훈", "Иван", "Пётр", "李", "王"]) == []
    assert same_names(["Иван-1", "иван 01", "Пётр"]) == [["Иван-1", "иван 01"]]
    assert same_names(["Ｓ１", "s1", "راम", "राम"]) == [["s1", "Ｓ１"]]
    assert same_names(["?", "!"]) == []


def test_peaks_of_a_table_and_of_a_file_beside_the_data(tmp_path):
    rows = ["a1,anger,S1,2,0", "a2,fear,S1,2.png,", "b1,anger,S2,,"]
    root = table(tmp_path / "own", "path,label,subject,Apex,onset_frame", *rows)
    manifest = load_manifest("folder", root)
    assert manifest[["apex", "onset"]].values.tolist() == [[2, 0], [1, -1], [-1, -1]]
    assert set(manifest["fps"]) == {-1}
    table(root, "path,label,subject,apex", "a1,anger,S1,3")
    with pytest.raises(DatasetError, match=r"labels.csv:2: '3' is no frame of this clip of 3"):
        load_manifest("folder", root)
    root = write("bu4dfe", tmp_path / "bu")
    assert set(load_manifest("bu4dfe", root)["apex"]) == {-1}
    text(root / "apex.csv", "clip,apex,onset\nF001/Fear,1,0\nF002/Anger,001.jpg,\n")
    found = load_manifest("bu4dfe", root).set_index("clip_id")[["apex", "onset"]]
    assert found.loc[["F001/Fear", "F002/Anger", "F003/Fear"]].values.tolist() == [
        [1, 0], [1, -1], [-1, -1],
    ]  # fmt: skip
    text(root / "apex.csv", "clip,apex\nF099/Fear,1\n")
    with pytest.raises(DatasetError, match=r"apex.csv:2: 'F099/Fear' is no clip of this dataset"):
        load_manifest("bu4dfe", root)


def test_counts_of_a_whole_copy_are_compared_when_data_are_loaded(tmp_path):
    with pytest.warns(UserWarning, match="5 instead of 593 sequences"):
        load_manifest("ckplus", write("ckplus", tmp_path))


def test_two_folders_of_one_dataset_are_a_question(tmp_path):
    write("oulu", tmp_path / "oulu")
    shutil.copytree(tmp_path / "oulu", tmp_path / "Oulu-CASIA")
    with pytest.raises(DatasetError, match="two folders for 'oulu', oulu and Oulu-CASIA"):
        load_manifest("oulu", tmp_path)


@pytest.mark.parametrize(("flat", "level"), [(0, None), (1, "look"), (3, "stop")])
def test_crops_that_show_nothing_are_counted(tmp_path, flat, level):
    root = tmp_path / "data"
    for person in range(12):
        folder(root, person)
    for person in range(flat):
        for name in ("1.png", "2.png", "10.png")[: 3 if flat > 1 else 1]:
            Image.new("RGB", (32, 24), (person,) * 3).save(root / f"anger/{person}/{name}")
    found = [f for f in check("folder", root, cropped=True).findings if "show nothing" in f.what]
    assert [finding.level for finding in found] == ([level] if level else [])
    if flat == 3:
        assert found[0].what.startswith("8% of the crops show nothing, in 3 of 36 clips")
        assert found[0].where == tuple(f"anger/{n}: 3 of 3 crops" for n in range(3))


def fade(root):
    """A clip of ten frames that change a little from one to the next."""
    start, change = (np.asarray(picture(seed)).astype(float) for seed in (3, 4))
    for number in range(10):
        pixels = (start + (change - start) * number / 40).astype(np.uint8)
        path = root / f"anger/x/{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


@pytest.mark.parametrize(
    ("place", "content", "what", "where"),
    [
        (None, None, None, ()),
        (4, "other", "1 frame does not fit", ("anger/x: 04.png",)),
        (0, "other", "1 frame does not fit", ("anger/x: 00.png",)),
        (9, "other", "1 frame does not fit", ("anger/x: 09.png",)),
        (4, "05", "1 clip has the same picture twice", ("anger/x: 04.png = 05.png",)),
    ],
)
def test_frames_of_another_clip_or_of_another_place_are_seen(tmp_path, place, content, what, where):
    root = fade(tmp_path)
    if content == "other":
        picture(50).save(root / f"anger/x/{place:02d}.png")
    elif content:
        shutil.copy(root / f"anger/x/{content}.png", root / f"anger/x/{place:02d}.png")
    report = check("folder", root, cropped=True)
    found = [f for f in report.findings if "not fit between" in f.what or "twice" in f.what]
    assert [finding.where for finding in found] == ([where] if what else [])
    assert all(finding.what.startswith(what) for finding in found)


def test_the_report_fits_on_a_screen_and_the_file_has_all_of_it(tmp_path, capsys):
    root = tmp_path / "data"
    for person in range(24):
        frames(root / f"anger/a_clip_with_a_rather_long_name_{person}", ["1.png", "a.heic"], person)
    frames(root / "fear/x", ["1.png"], 70)
    for person in range(20):
        (root / f"anger/a_clip_with_a_rather_long_name_{person}/1.png").write_bytes(b"")
    assert main(["check", "folder", str(root), "--text", str(tmp_path / "all.txt")]) == 1
    shown = capsys.readouterr().out
    assert sum(-(-max(1, len(line)) // 100) for line in shown.splitlines()) <= 42
    assert shown.index("[stop]") < shown.index("[look]")
    assert f"It is in {tmp_path / 'all.txt'}" in shown
    full = (tmp_path / "all.txt").read_text(encoding="utf-8")
    assert all(f"long_name_{person}/1.png is empty" in full for person in range(20))


@pytest.mark.parametrize(
    ("numbers", "told"),
    [((8, 9, 10), ""), ((3, 6, 9), ""), ((8, 9, 4294967296), "x_9.png and x_4294967296.png")],
)
def test_a_step_in_the_numbers_of_own_frames_is_said(tmp_path, numbers, told):
    frames(tmp_path / "anger/x", [f"x_{number}.png" for number in numbers])
    problems = scan_dataset("folder", tmp_path).problems
    assert problems == ((f"anger/x: frames may be missing between {told}",) if told else ())


def test_exact_copies_are_one_group_and_not_pairs(tmp_path):
    for number in range(8):
        frames(tmp_path / f"{LABELS[number % 2]}/{number}", ["1.png", "2.png"], 10 * number)
    for number in range(4):
        shutil.copytree(tmp_path / "anger/2", tmp_path / f"anger/again{number}")
    report = check("folder", tmp_path, cropped=True)
    groups = [f for f in report.findings if "same files twice" in f.what]
    assert [len(finding.where) for finding in groups] == [1]
    assert groups[0].where[0].count("anger/again") == 4
    assert not [f for f in report.findings if any("again" in w for w in f.where) and f != groups[0]]
