"""The pictures of the documents show the pages as they are."""

import re

from tests.docs.markdown import read
from tools.screenshots import DIGEST, PICTURES, digest


def test_no_picture_is_out_of_date() -> None:
    """The pages of the incident are those that were photographed: else `make screenshots`."""
    assert digest() == DIGEST.read_text(encoding="utf-8").strip()


def test_the_readme_has_pictures() -> None:
    """The README shows three pictures that are there."""
    shown = re.findall(r"docs/pictures/([\w-]+\.png)", read("README.md"))
    assert len(set(shown)) >= 3
    assert all((PICTURES / name).is_file() for name in shown)
