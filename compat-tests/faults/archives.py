"""Archives that no build tool makes: bombs, members in wrong places, and lists of members that lie."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable

import packages

MIB = 1024 * 1024
WHEEL = "bomb-1.0-py3-none-any.whl"
SDIST = "bomb-1.0.tar.gz"
METADATA = "bomb-1.0.dist-info/METADATA"
TEXT = packages.metadata("bomb", "1.0").encode()
END = b"PK\x05\x06"


def zipped(
    members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], *, method: int = zipfile.ZIP_DEFLATED, level: int = 1
) -> bytes:
    """An archive with these members; names may come twice."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method, compresslevel=level) as archive:
        for name, content in members:
            archive.writestr(name, content, method, level)
    return target.getvalue()


def wheel(*more: tuple[str | zipfile.ZipInfo, bytes], metadata: bytes = TEXT, **options: int) -> bytes:
    """A wheel with further members, which come first."""
    info = METADATA.rpartition("/")[0]
    return zipped([*more, ("bomb.py", b""), (METADATA, metadata), (f"{info}/RECORD", b"")], **options)


def symlink(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    return info, target.encode()


def many_members(count: int) -> bytes:
    """A zip with so many empty members."""
    return wheel(*((f"{number}", b"") for number in range(count)), method=zipfile.ZIP_STORED)


def long_list(count: int, size: int) -> bytes:
    """One whose list of members is long, since each name is."""
    return wheel(*((f"{number:0{size}d}", b"") for number in range(count)), method=zipfile.ZIP_STORED)


def overlapping(copies: int, size: int) -> bytes:
    """Members that all are the same bytes of the file, each of which inflates to this size."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(bytes(size)) + compressor.flush()
    checksum = zlib.crc32(bytes(size))
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, checksum, len(packed), size, 1, 0) + b"x" + packed
    content, entries = local, b""
    for number in range(copies):
        name = METADATA.encode() if number == 0 else b"%d" % number
        entries += central(name, checksum, len(packed), size, 0)
    return content + entries + end(copies, len(entries), len(content))


def many_extra_fields(members: int, fields: int) -> bytes:
    """Members with so many extra fields each, which are empty and of no known kind."""
    extra = struct.pack("<2H", 0xCAFE, 0) * fields
    names = [METADATA.encode(), *(b"%d" % number for number in range(1, members))]
    entries = b"".join(central(name, 0, 0, 0, 0, 0, extra) for name in names)
    return entries + end(members, len(entries), 0)


def central(
    name: bytes, checksum: int, packed: int, size: int, offset: int, method: int = 8, extra: bytes = b""
) -> bytes:
    """An entry of the list of members."""
    fields = (20, 20, 0, method, 0, 33, checksum, packed, size, len(name), len(extra), 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fields) + name + extra


def end(count: int, size: int, offset: int) -> bytes:
    """The end of the list."""
    return struct.pack("<4s4H2LH", END, 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), size, offset, 0)


def end64(count: int, size: int, offset: int, place: int) -> bytes:
    """The same in the 64-bit form, which is at this place in the file."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1)
    return record + locator + struct.pack("<4s4H2LH", END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


def with_end64(count: int | None = None, size: int | None = None, offset: int | None = None) -> bytes:
    """A wheel whose end is of the 64-bit form, and says something else than what is true where that is given."""
    content = wheel()
    at = content.rindex(END)
    true_count, true_size, true_offset = struct.unpack_from("<HLL", content, at + 10)
    told = ((count, true_count), (size, true_size), (offset, true_offset))
    given = [true if other is None else other for other, true in told]
    return content[:at] + end64(*given, at)


def metadata_of_a_false_size(told: int, real: int) -> bytes:
    """A wheel whose METADATA is longer than its list of members says."""
    content = bytearray(wheel(metadata=bytes(real)))
    for signature, field in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = content.index(METADATA.encode(), 0 if signature == b"PK\x03\x04" else content.rindex(b"PK\x03\x04"))
        start = content.rindex(signature, 0, at)
        struct.pack_into("<L", content, start + field, told)
    return bytes(content)


def member_beyond_the_end() -> bytes:
    """A wheel whose METADATA is said to be where the file has ended."""
    content = wheel()
    at = content.rindex(END)
    size, offset = struct.unpack_from("<LL", content, at + 12)
    entries = central(METADATA.encode(), 0, 100, 100, 0xFFFFFF00)
    return content[:offset] + entries + end(1, len(entries), offset)


def zip64_member(size: int) -> bytes:
    """A wheel whose METADATA has sizes of 64 bits."""
    extra = struct.pack("<2H3Q", 1, 24, size, size, 0)
    entries = central(METADATA.encode(), 0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, extra)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(METADATA), 20)
    local += METADATA.encode() + struct.pack("<2H2Q", 1, 16, size, size)
    return local + entries + end(1, len(entries), len(local))


def tarred(*members: tuple[tarfile.TarInfo, int], format: int = tarfile.GNU_FORMAT) -> bytes:
    """A compressed tar archive whose members have so many zeros as content."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=format) as archive:
            for info, size in members:
                info.size = size
                archive.addfile(info, Zeros(size))
    return target.getvalue()


class Zeros(io.RawIOBase):
    """So many of them."""

    def __init__(self, size: int):
        self.left = size

    def read(self, size: int = -1) -> bytes:
        count = self.left if size < 0 else min(size, self.left)
        self.left -= count
        return bytes(count)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


PKG_INFO = (member("bomb-1.0/PKG-INFO"), 0)

WHEELS: dict[str, Callable[[], bytes]] = {
    "huge metadata": lambda: wheel(metadata=bytes(64 * MIB), level=9),
    "metadata of a false size": lambda: metadata_of_a_false_size(100, 64 * MIB),
    "overlapping members": lambda: overlapping(1_000, 20 * MIB),
    "too many members": lambda: many_members(100_001),
    "far too long a list of members": lambda: long_list(1_000, 30_000),
    "too many extra fields": lambda: many_extra_fields(380, 16_000),
    "64 bits: too many members": lambda: with_end64(count=2**62),
    "64 bits: a list beyond the end": lambda: with_end64(offset=2**62),
    "64 bits: huge metadata": lambda: zip64_member(2**62),
    "metadata beyond the end": member_beyond_the_end,
    "only the end of an archive": lambda: end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    "only zeros": lambda: bytes(10 * MIB),
}
"""Wheels that are refused."""

DOCUMENTATION = {":action": "doc_upload"}
ACCEPTED: dict[str, tuple[str, Callable[[], bytes], dict[str, str]]] = {
    "many members": (WHEEL, lambda: many_members(99_000), {}),
    "64 bits: a list of any size": (WHEEL, lambda: with_end64(size=2**63), {}),
    "metadata twice": (WHEEL, lambda: wheel((METADATA, b"Name: other\n")), {}),
    "metadata that is a link": (WHEEL, lambda: zipped([symlink(METADATA, "/etc/passwd")]), {}),
    "members above": (WHEEL, lambda: wheel(("../../above.py", b""), ("/etc/absolute.py", b""), ("c:\\x.py", b"")), {}),
    "links in a wheel": (WHEEL, lambda: wheel(symlink("bomb/link", "/etc/passwd")), {}),
    "a member of a gigabyte": (WHEEL, lambda: wheel(("zeros.bin", bytes(1024 * MIB))), {}),
    "documentation above": (
        "bomb.zip",
        lambda: zipped([("../index.html", b"x"), ("/etc/x.html", b"x")]),
        DOCUMENTATION,
    ),
    "documentation of links": ("bomb.zip", lambda: zipped([symlink("index.html", "/etc/passwd")]), DOCUMENTATION),
    "documentation of a gigabyte": ("bomb.zip", lambda: zipped([("index.html", bytes(1024 * MIB))]), DOCUMENTATION),
    "documentation of very many pages": ("bomb.zip", lambda: many_members(70_000), DOCUMENTATION),
    "sdist of a gigabyte": (SDIST, lambda: tarred(PKG_INFO, (member("bomb-1.0/zeros"), 1024 * MIB)), {}),
    "sdist with links": (SDIST, lambda: tarred((member("bomb-1.0/PKG-INFO", tarfile.SYMTYPE, "/etc/passwd"), 0)), {}),
    "sdist above": (SDIST, lambda: tarred((member("../../PKG-INFO"), 100), (member("/etc/PKG-INFO"), 100)), {}),
    "sdist with devices": (SDIST, lambda: tarred((member("bomb-1.0/PKG-INFO", tarfile.CHRTYPE), 0)), {}),
    "sdist with very many members": (
        SDIST,
        lambda: tarred(*((member(f"{number}"), 0) for number in range(50_000))),
        {},
    ),
}
"""Files that are kept as they come: what they would do is done when somebody unpacks them, and the server does not."""
