"""A gzip member of separately compressed pieces."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.blocks import Member, deflate
from trunkwatch.blocks.gzip_member import crc32_combine, join

from tests.domain.scripts import bounded

TEXTS = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from((b"a" * 70_000, b"\n"))))


@bounded
@given(st.binary(max_size=99), st.binary(max_size=99), st.sampled_from((0, 1, 255, 4096, 65_537)))
def test_the_crc_of_two_texts(first: bytes, second: bytes, repeated: int) -> None:
    """The CRCs of two texts give the CRC of both, without the texts."""
    second *= repeated
    combined = crc32_combine(zlib.crc32(first), zlib.crc32(second), len(second))
    assert combined == zlib.crc32(first + second)


@bounded
@given(TEXTS, TEXTS)
def test_pieces_unpack_to_their_text(begin: list[bytes], end: list[bytes]) -> None:
    """A member of any pieces, joined before or not, is read as one member with their text."""
    member = Member().plus(map(deflate, begin)).plus([join(map(deflate, end))]).complete()
    packed = b"".join(member.parts)
    unpacker = zlib.decompressobj(wbits=31)
    assert unpacker.decompress(packed) == b"".join([*begin, *end]) == gzip.decompress(packed)
    assert (unpacker.eof, unpacker.unused_data, len(packed)) == (True, b"", member.size)


def test_a_wrong_crc_is_noticed() -> None:
    """Readers check the trailer, so that a wrong one would not go unnoticed."""
    piece = deflate(b"text")
    packed = b"".join(Member().plus([piece._replace(crc=piece.crc ^ 1)]).complete().parts)
    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        gzip.decompress(packed)
