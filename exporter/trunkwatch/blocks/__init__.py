"""Large texts in blocks: a change renders and compresses one block, not the whole text."""

from trunkwatch.blocks.blocks import Block, Blocks, Texts
from trunkwatch.blocks.gzip_member import Member, Piece, deflate
from trunkwatch.blocks.parts import Parts

__all__ = ["Block", "Blocks", "Member", "Parts", "Piece", "Texts", "deflate"]
