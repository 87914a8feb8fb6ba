"""Values in errors: short, and without logins."""

import pytest
from trunkwatch.quoting import MAX_QUOTED_CHARACTERS, quoted, quoted_key, without_logins


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("o/r", "'o/r'"),
        ("https://git.example.com/o/r", "'https://git.example.com/o/r'"),
        ("https://git.example.com/o/r?token=hunter2#x", "'https://git.example.com/o/r?***'"),
        ("https://u:hunter2@h/o/r", "'https://***@h/o/r'"),
        ("git+ssh://hunter2@h/o/r", "'git+ssh://***@h/o/r'"),
        (" https://u:hunter2 @/?#@h", "' https://***@h'"),
        ("hunter2@h/o/r", "'***@h/o/r'"),
        ("o/r?", "'o/r?'"),
        ("@scope/package", "'@scope/package'"),
        ("test (node@18)", "'test (node@18)'"),
        (".*node@[0-9]+", "'.*node@[0-9]+'"),
        ("x" * 300, f"'{'x' * (MAX_QUOTED_CHARACTERS - 1)}…'"),
        ("a\nb", r"'a\nb'"),
        (7, "7"),
        pytest.param(10**5000, "a number of about 5001 digits", id="huge"),
        pytest.param(-(10**5000), "a number of about 5001 digits", id="negative"),
        (1.5, "1.5"),
        (True, "True"),
        (None, "None"),
        (["https://u:hunter2@h"], "a list"),
        ({"a": "https://u:hunter2@h"}, "a mapping"),
        (b"https://u:hunter2@h", "a value of type bytes"),
    ],
)
def test_values(value: object, shown: str) -> None:
    """A value is shown on one line, and what may be a password in it is not."""
    assert quoted(value) == shown


@pytest.mark.parametrize(
    ("key", "shown"),
    [("a b", "a b"), ("url:http://u:hunter2@h", "url:***"), ("hunter2@h", "***@h"), (1, "1")],
)
def test_keys(key: object, shown: str) -> None:
    """What follows a colon in a key is a value to which a space is missing."""
    assert quoted_key(key) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("extra argument (https://u:hunter2@h/o)", "extra argument (https://***@h/o)"),
        ("--set url=https://u:hunter2@h: no", "--set url=https://***@h: no"),
        ("u:hunter2@h https://hunter2@i and text", "***@h https://***@i and text"),
        ("no address, @scope/package", "no address, @scope/package"),
        ("p@ss://hunter2@h", "***@h"),
    ],
)
def test_sentences(text: str, shown: str) -> None:
    """A sentence keeps everything but the logins of addresses in it."""
    assert without_logins(text) == shown
