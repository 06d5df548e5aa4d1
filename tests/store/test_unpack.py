"""What is refused of an uploaded archive. Each table row is one way to harm, or one mistake; nothing may be left of any."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tbbridge import limits
from tbbridge.errors import InvalidItem, MalformedBody, Stopping, StorageFailed, TBBridgeError, TooLarge
from tbbridge.events.summaries import encode_file_start
from tbbridge.store import archive as archive_module
from tbbridge.store.eventfiles import Halt
from tbbridge.store.unpack import unpack

EVENTS = "events.out.tfevents.1"
CONTENT = encode_file_start(1.0, session_start=True)
CONFIG = "projector_config.pbtxt"


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as made:
        for name, content in entries:
            made.writestr(name, content)
    return raw.getvalue()


def flipped(raw: bytes, position: int) -> bytes:
    return raw[:position] + bytes([raw[position] ^ 255]) + raw[position + 1 :]


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., object]:
    """Unpack these bytes; what is in the staging folder then is in the attribute `staged`."""
    staged = tmp_path / "staged"
    staged.mkdir()

    def run(raw: bytes, **options: object) -> object:
        (tmp_path / "archive.zip").write_bytes(raw)
        return unpack(tmp_path / "archive.zip", staged, **options)  # type: ignore[arg-type]

    run.staged = staged  # type: ignore[attr-defined]
    return run


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../" + EVENTS, "'..'"),
        ("plugins/profile/../../" + EVENTS, "'..'"),
        ("plugins/profile/./a", "'.'"),
        ("plugins/profile//a", "''"),
        ("/" + EVENTS, "absolute"),
        ("C:/" + EVENTS, "absolute"),
        ("c:" + EVENTS, "absolute"),
        ("plugins\\..\\" + EVENTS, "backslash"),
        ("plugins/profile/a\nb", "control character"),
        ("plugins/profile/\x1b[2J", "control character"),
        ("events.out.tf~vents.1", "tf~vents"),
        ("plugins/profile/tf~vents/a", "tf~vents"),
        ("plugins/profile/" + "a" * 256, "longer than a file's name"),
        ("plugins/profile/" + "a/" * 600 + "a", "path of over"),
        ("notes.txt", "does not belong to a run"),
        ("below/" + EVENTS, "does not belong to a run"),
        (".tbbridge/lock", "does not belong to a run"),
        ("plugins", "does not belong to a run"),
        ("plugins/mine", "does not belong to a run"),
        ("projector_config.pbtxt/a", "does not belong to a run"),
        (EVENTS, "twice"),
        (EVENTS.upper().replace("TFEVENTS", "tfevents"), "twice"),
        (EVENTS + "/a", "does not belong to a run"),
        (special("plugins/profile/link", stat.S_IFLNK | 0o777), "link or a special file"),
        (special("plugins/profile/pipe", stat.S_IFIFO | 0o666), "link or a special file"),
        (special("plugins/profile/device", stat.S_IFCHR | 0o666), "link or a special file"),
        (special("plugins/profile/folder", stat.S_IFDIR | 0o777), "link or a special file"),
    ],
    ids=lambda value: ascii(getattr(value, "filename", value))[1:40],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_bad_entry_refuses_the_archive_whole(unpacked, name, words) -> None:
    with pytest.raises(InvalidItem, match=words):
        unpacked(zipped((EVENTS, CONTENT), (name, CONTENT)))
    assert list(unpacked.staged.iterdir()) == []


def test_names_that_differ_in_their_unicode_form_only_are_one(unpacked) -> None:
    with pytest.raises(InvalidItem, match="twice"):
        unpacked(zipped((EVENTS, CONTENT), ("plugins/profile/\u00e4", b"1"), ("plugins/profile/a\u0308", b"2")))


def test_a_file_cannot_be_a_folder_too(unpacked) -> None:
    with pytest.raises(InvalidItem, match="which is a file"):
        unpacked(zipped((EVENTS, CONTENT), ("plugins/profile/a", b"1"), ("plugins/profile/A/b", b"2")))


def test_a_name_with_nul_in_it(unpacked) -> None:
    raw = zipped((EVENTS, CONTENT), ("plugins/profile/a_b", b"1")).replace(b"plugins/profile/a_b", b"plugins/profile/a\0b")
    with pytest.raises(InvalidItem, match="control character"):
        unpacked(raw)


def test_folders_by_themselves_are_no_harm(unpacked) -> None:
    found = unpacked(
        zipped(("plugins/profile/", b""), (special("plugins/profile/a/", stat.S_IFDIR | 0o755), b""), (EVENTS, CONTENT))
    )
    assert found.files == 1


# --- what surrounds the entries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not a zip",
        zipped((EVENTS, CONTENT))[:-10],
        zipped((EVENTS, CONTENT))[30:],
        flipped(zipped((EVENTS, CONTENT)), 30 + len(EVENTS) + 10),
        zipped((EVENTS, CONTENT), method=zipfile.ZIP_STORED).replace(CONTENT[20:28], b"\1" * 8),
    ],
    ids=["empty", "text", "cut-at-its-end", "cut-at-its-start", "deflated-damage", "stored-damage"],
)
def test_a_damaged_zip_is_malformed(unpacked, raw) -> None:
    with pytest.raises((MalformedBody, InvalidItem)):
        unpacked(raw)


def test_every_flip_of_a_bit_is_refused_or_harmless(unpacked, tmp_path) -> None:
    """Whatever is damaged: an error of ours, and nothing outside the staging folder."""
    raw = zipped((EVENTS, CONTENT), ("plugins/profile/a", b"content"))
    for position in range(len(raw)):
        for bit in (0, 5, 7):
            damaged = bytearray(raw)
            damaged[position] ^= 1 << bit
            staged = tmp_path / f"{position}.{bit}"
            staged.mkdir()
            (tmp_path / "damaged.zip").write_bytes(damaged)
            try:
                unpack(tmp_path / "damaged.zip", staged)
            except TBBridgeError as error:
                assert not isinstance(error, StorageFailed), (position, bit, error)  # noqa: PT017 - which of many is told
            for path in staged.rglob("*"):
                assert path.is_relative_to(staged)
    assert not any(path.name.startswith("events") for path in tmp_path.iterdir())


def test_encrypted_entries_are_refused(unpacked) -> None:
    raw = bytearray(zipped((EVENTS, CONTENT)))
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(InvalidItem, match="encrypted"):
        unpacked(bytes(raw))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compressions_are_refused(unpacked, method) -> None:
    """LZMA alone may ask for gigabytes of memory."""
    with pytest.raises(InvalidItem, match="unusual"):
        unpacked(zipped((EVENTS, CONTENT), method=method))


def test_entries_that_share_their_bytes_are_refused(unpacked) -> None:
    """D. Fifield's bomb: many names for one stretch of bytes."""
    raw = zipped((EVENTS, CONTENT), ("plugins/profile/a", b"a" * 100))
    at = raw.index(b"PK\1\2", raw.index(b"PK\1\2") + 1)
    raw = raw[: at + 42] + struct.pack("<I", 0) + raw[at + 46 :]
    with pytest.raises(InvalidItem, match="shares its bytes"):
        unpacked(raw)


def test_a_bomb_is_refused_by_what_it_promises(unpacked, monkeypatch) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_RATIO_FREE_BYTES", limits.MiB)
    with pytest.raises(TooLarge, match="bomb"):
        unpacked(zipped((EVENTS, CONTENT), ("plugins/profile/zeros", bytes(2 * limits.MiB))))
    assert list(unpacked.staged.iterdir()) == []


def test_a_stored_file_of_zeros_is_no_bomb(unpacked, monkeypatch) -> None:
    """Which is why our own archives are stored: whatever a run holds, its archive comes back."""
    monkeypatch.setattr(limits, "ARCHIVE_RATIO_FREE_BYTES", limits.MiB)
    raw = zipped((EVENTS, CONTENT), ("plugins/profile/zeros", bytes(2 * limits.MiB)), method=zipfile.ZIP_STORED)
    assert unpacked(raw).files == 2


def test_too_much_in_all_is_refused(unpacked) -> None:
    with pytest.raises(TooLarge, match="archive_max_bytes"):
        unpacked(zipped((EVENTS, CONTENT), ("plugins/profile/a", bytes(1000))), max_bytes=1000)


def test_an_entry_that_is_longer_than_it_says_is_not_written_beyond_it(unpacked) -> None:
    raw = bytearray(zipped((EVENTS, CONTENT), ("plugins/profile/a", bytes(100_000))))
    at = raw.index(b"PK\1\2", raw.index(b"PK\1\2") + 1)
    struct.pack_into("<I", raw, at + 24, 10)
    with pytest.raises(MalformedBody):
        unpacked(bytes(raw))
    assert sum(path.stat().st_size for path in unpacked.staged.rglob("*") if path.is_file()) < 1000


def test_a_million_entries_are_refused_before_they_are_listed(unpacked) -> None:
    """Python's zipfile would make an object of each first: the table of contents is bounded before it is read."""
    one = zipfile.ZipInfo("plugins/profile/" + "a" * 80)
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, len(one.filename), 0, 0, 0, 0, 0, 0)
    table = (entry + one.filename.encode()) * 200_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(table), 0, 0)
    with pytest.raises(TooLarge, match="table of contents"):
        unpacked(table + end)


def test_too_many_entries_are_refused(unpacked, monkeypatch) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_MAX_ENTRIES", 2)
    with pytest.raises(TooLarge, match="3 entries"):
        unpacked(zipped((EVENTS, CONTENT), ("plugins/profile/a", b"1"), ("plugins/profile/b", b"2")))


def test_a_full_disk_is_refused_before_it_is_fuller(unpacked, monkeypatch) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_ROOM_LEFT_BYTES", 1 << 60)
    with pytest.raises(StorageFailed, match="make room") as caught:
        unpacked(zipped((EVENTS, CONTENT)))
    assert caught.value.status == 507
    assert list(unpacked.staged.iterdir()) == []


def test_a_stop_ends_it(unpacked) -> None:
    halt = Halt()
    halt.call()
    with pytest.raises(Stopping):
        unpacked(zipped((EVENTS, CONTENT)), halt=halt)


# --- what is in the entries -------------------------------------------------------------------------------------------


def test_an_archive_without_an_event_file_is_no_runs(unpacked) -> None:
    with pytest.raises(InvalidItem, match="holds no event file"):
        unpacked(zipped(("plugins/profile/a", b"1")))


def test_an_event_file_that_is_none_is_refused(unpacked) -> None:
    with pytest.raises(InvalidItem, match="is none"):
        unpacked(zipped((EVENTS, CONTENT), (EVENTS + "2", b"<html>not an event file</html>")))


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (CONTENT + b"\0" * 5, "torn", f"byte {len(CONTENT)} of {len(CONTENT) + 5}, behind 2 records"),
        (CONTENT + b"x" * 50, "damaged", f"damaged at byte {len(CONTENT)}"),
        (CONTENT[:10], "torn", "byte 0 of 10, behind 0 records"),
    ],
    ids=["torn", "damaged", "hardly-begun"],
)
def test_an_event_file_that_is_not_whole_is_taken_with_a_warning(unpacked, content, code, words) -> None:
    (warning,) = unpacked(zipped((EVENTS, content))).warnings
    assert (warning.path, warning.code) == (EVENTS, code)
    assert words in warning.message


def test_an_empty_event_file_is_taken_as_it_is(unpacked) -> None:
    assert unpacked(zipped((EVENTS, b""))).warnings == ()


@pytest.mark.parametrize(
    "config",
    [
        'embeddings { tensor_path: "/etc/passwd" }',
        "embeddings { tensor_path: '/etc/passwd' }",
        'embeddings { tensor_path: "../other/tensors.tsv" }',
        'embeddings { metadata_path: "~/.ssh/id_rsa" }',
        'embeddings { sprite { image_path: "\\057etc\\057passwd" } }',
        'embeddings { sprite { image_path: "\\x2fetc" } }',
        'embeddings { bookmarks_path: "a/.." "/../b" }',
        'embeddings { tensor_path: "gs://bucket/a" }',
        'model_checkpoint_path: "/tmp/model"',
        "embeddings { tensor_path # a comment\n : # and one more\n '/etc/passwd' }",
        "embeddings { tensor_path: 7 }",
    ],
)
def test_an_embedding_that_names_a_file_elsewhere_is_refused(unpacked, config) -> None:
    """TensorBoard's Projector would read it out to whoever asks."""
    with pytest.raises(InvalidItem, match="outside of the run"):
        unpacked(zipped((EVENTS, CONTENT), (CONFIG, config.encode())))


@pytest.mark.parametrize(
    "config",
    [
        'embeddings { tensor_name: "/../x_path" tensor_path: "embeddings.tbbridge/1/tensors.tsv" }',
        'embeddings { tensor_path: "00000/default/tensors.tsv" # "/etc"\n metadata_path: "\\303\\244.tsv" }',
        "",
    ],
)
def test_an_embedding_of_the_runs_own_is_taken(unpacked, config) -> None:
    assert unpacked(zipped((EVENTS, CONTENT), (CONFIG, config.encode()))).files == 2


# --- folders around it ------------------------------------------------------------------------------------------------


def test_one_folder_around_everything_is_taken_off(unpacked) -> None:
    """As lapiz makes them, and `zip -r`."""
    unpacked(zipped(("digits/", b""), ("digits/" + EVENTS, CONTENT), ("digits/plugins/profile/a", b"1")), strip_prefix=None)
    assert sorted(path.name for path in unpacked.staged.iterdir()) == ["events.out.tf~vents.1", "plugins"]


def test_a_folder_of_the_runs_own_is_not_taken_off(unpacked) -> None:
    with pytest.raises(InvalidItem, match="holds no event file"):
        unpacked(zipped(("plugins/profile/" + EVENTS, CONTENT)), strip_prefix=None)


@pytest.mark.parametrize("prefix", ["other", "dig", "digits/x"])
def test_entries_outside_of_the_prefix_are_refused(unpacked, prefix) -> None:
    with pytest.raises(InvalidItem, match="does not lie in the folder"):
        unpacked(zipped(("digits/" + EVENTS, CONTENT)), strip_prefix=prefix)


def test_the_prefix_is_taken_off(unpacked) -> None:
    unpacked(zipped(("a/b/" + EVENTS, CONTENT)), strip_prefix="a/b")
    assert [path.name for path in unpacked.staged.iterdir()] == ["events.out.tf~vents.1"]


def test_an_upload_asks_for_room_now_and_then(tmp_path, monkeypatch) -> None:
    upload = archive_module.Upload(tmp_path)
    with upload:
        upload.write(b"1")
        monkeypatch.setattr(limits, "ARCHIVE_ROOM_LEFT_BYTES", 8)
        monkeypatch.setattr(archive_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1}))
        with pytest.raises(StorageFailed, match="make room"):
            upload.write(b"2")
