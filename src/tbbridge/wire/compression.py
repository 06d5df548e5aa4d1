"""Content-Encoding of request bodies: gzip and zstd, never decompressed beyond a limit. Bytes in, bytes out."""

from __future__ import annotations

import sys
import zlib
from typing import Final, Protocol

from tbbridge import limits
from tbbridge.errors import MalformedBody, TooLarge, UnsupportedMedia

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS: Final = ("gzip", "zstd", "identity")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int = ..., /) -> bytes: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: limits.ZSTD_WINDOW_LOG_MAX})


# What lies behind a frame's end is copied once a frame, so it is kept short.
_PIECE_BYTES: Final = 64 * limits.KiB

_MAKERS: Final = {"gzip": _gzip, "x-gzip": _gzip, "zstd": _zstd}


def check_encoding(name: str) -> str:
    """The encoding a Content-Encoding header names, in lower case; '' if there is nothing to decompress."""
    encoding = name.strip().lower()
    if encoding in ("", "identity"):
        return ""
    if encoding not in _MAKERS:
        raise UnsupportedMedia(f"Content-Encoding {name[:60]!a} is not spoken here; send one of " + ", ".join(ENCODINGS))
    return encoding


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """`body` decompressed, `encoding` being what `check_encoding` returned.

    Raises `TooLarge` as soon as it is over `max_bytes`, `MalformedBody` if it is damaged or ends early.
    """
    parts: list[bytes] = []
    view, position, left = memoryview(body), 0, max_bytes
    for _ in range(limits.COMPRESSED_FRAMES_MAX):  # both formats allow several frames in a row
        decompressor = _MAKERS[encoding]()
        while not decompressor.eof:
            piece = view[position : position + _PIECE_BYTES]
            if not piece:
                raise MalformedBody(f"the {encoding} body ends early: it was cut off on its way; send it again whole")
            try:
                part = decompressor.decompress(piece, left + 1)
            except (zlib.error, zstd.ZstdError) as error:
                raise MalformedBody(f"the body is not {encoding}, or damaged: {error}; compress it anew and resend") from None
            position += len(piece)
            left -= len(part)
            if left < 0:
                raise TooLarge(f"the body has over {max_bytes} bytes after decompression; send less at a time")
            parts.append(part)
        position -= len(decompressor.unused_data)
        if position == len(body):
            return b"".join(parts)
    raise TooLarge(f"the {encoding} body has over {limits.COMPRESSED_FRAMES_MAX} frames; compress it in one")
