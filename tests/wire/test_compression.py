"""Content-Encoding: what comes out, and what a damaged, cut or swollen body costs."""

from __future__ import annotations

import gzip
import sys
import zlib

import pytest

from tbbridge import limits
from tbbridge.errors import MalformedBody, TooLarge, UnsupportedMedia
from tbbridge.wire.compression import check_encoding, decompress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PLAIN = b"some points " * 20_000
COMPRESS = {"gzip": gzip.compress, "zstd": zstd.compress}
both = pytest.mark.parametrize("encoding", COMPRESS)


@both
def test_comes_out_as_it_went_in(encoding):
    assert decompress(COMPRESS[encoding](PLAIN), encoding, len(PLAIN)) == PLAIN


@both
def test_frames_behind_each_other_are_one_body(encoding):
    assert decompress(COMPRESS[encoding](b"a") + COMPRESS[encoding](b"") + COMPRESS[encoding](b"b"), encoding, 10) == b"ab"


@both
def test_one_byte_over_the_limit_is_too_large(encoding):
    with pytest.raises(TooLarge, match="after decompression"):
        decompress(COMPRESS[encoding](PLAIN), encoding, len(PLAIN) - 1)


@both
def test_a_bomb_is_stopped_at_the_limit(encoding):
    with pytest.raises(TooLarge):
        decompress(COMPRESS[encoding](bytes(64 * limits.MiB)), encoding, limits.MiB)


@both
@pytest.mark.parametrize("kept", [0, 1, 5, -1, -4, -8], ids=lambda kept: f"kept{kept}")
def test_cut_anywhere_says_that_it_ends_early(encoding, kept):
    with pytest.raises(MalformedBody, match="ends early"):
        decompress(COMPRESS[encoding](PLAIN)[:kept], encoding, len(PLAIN))


@both
def test_a_flipped_bit_is_damage(encoding):
    body = bytearray(zstd.compress(PLAIN, options={zstd.CompressionParameter.checksum_flag: 1}))
    if encoding == "gzip":
        body = bytearray(gzip.compress(PLAIN))
    body[-3] ^= 1
    with pytest.raises(MalformedBody, match="damaged"):
        decompress(bytes(body), encoding, len(PLAIN))


@both
def test_junk_behind_the_end_is_damage(encoding):
    with pytest.raises(MalformedBody):
        decompress(COMPRESS[encoding](b"x") + b"junk!", encoding, 10)


@both
def test_a_million_empty_frames_are_refused(encoding):
    with pytest.raises(TooLarge, match="frames"):
        decompress(COMPRESS[encoding](b"") * 100_000, encoding, 10)


def test_zlib_without_gzips_head_is_not_gzip():
    with pytest.raises(MalformedBody, match="not gzip"):
        decompress(zlib.compress(PLAIN), "gzip", len(PLAIN))


def test_a_zstd_window_beyond_memory_is_refused():
    streamed = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    body = streamed.compress(PLAIN) + streamed.flush()
    with pytest.raises(MalformedBody):
        decompress(body, "zstd", len(PLAIN))


@pytest.mark.parametrize(
    ("header", "encoding"), [("", ""), ("identity", ""), ("GZIP", "gzip"), (" zstd ", "zstd"), ("x-gzip", "x-gzip")]
)
def test_encodings_that_are_spoken(header, encoding):
    assert check_encoding(header) == encoding


@pytest.mark.parametrize("header", ["br", "deflate", "gzip, gzip", "gzip;q=1"])
def test_other_encodings_name_those_that_are(header):
    with pytest.raises(UnsupportedMedia, match="gzip, zstd, identity"):
        check_encoding(header)
