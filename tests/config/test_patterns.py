"""Patterns of the configuration mean what they mean in Python, and no text keeps them busy."""

import ast
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trunkwatch
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.evidence import DEFAULT_INFRA_STEPS
from trunkwatch.domain.names import callers
from trunkwatch.patterns import Pattern, matches_go

from tests.docs.markdown import PROJECT

PACKAGE = Path(trunkwatch.__file__).parent
EXAMPLES = ("deploy/trunkwatch.yml", "exporter/trunkwatch/demo/trunkwatch.yml")
EXAMPLES_IN_TEXT = ("README.md", "docs/configuration.md", "docs/policy.md")

ATOMS = (
    "a", "ü", "1", " ", ".", "[^a]", "[ab]", r"\d", r"\w", r"\W", r"\s", r"\S", r"\.", "[]a]",
    "[[a]", r"[\w.-]", r"[\s\S]", r"[^\d]", "(a)", "(?:a|b)", "(?P<x>a|ab)", "(ab|a)(b?)", "a{,2}",
    "a{1,2}?", "b+?", ".*", ".*?", "(.+)", r"\Z", r"\A", "(?i:A)", r"\u00fc", r"\101",
)  # fmt: skip
NAMES = st.text(st.sampled_from("aabbA1 .-[]\nü_"), max_size=8)


@given(st.lists(st.sampled_from(ATOMS), max_size=5).map("".join), NAMES)
def test_a_pattern_means_what_it_means_in_python(text: str, name: str) -> None:
    """Matches and groups are those of `re`, for every construct that is supported."""
    try:
        with warnings.catch_warnings(action="ignore"):
            expected = re.compile(text)
    except re.error:
        return  # such as a group of the same name twice
    pattern, found = Pattern(text), expected.fullmatch(name)
    assert pattern.fullmatch(name) is (found is not None)
    template = "|".join([r"\g<0>", *(rf"\{n + 1}" for n in range(expected.groups))])
    assert pattern.expand(name, template) == (found and found.expand(template))


def test_what_differs_from_python_is_little() -> None:
    r"""`\b` knows ASCII words only, `$` is the very end, and `\B` is not in an empty text."""
    assert Pattern(r"a\bü").fullmatch("aü")
    assert not re.fullmatch(r"a\bü", "aü")
    assert not Pattern("a$\n").fullmatch("a\n")
    assert re.fullmatch("a$\n", "a\n")
    assert Pattern(r"\B").fullmatch("")


@pytest.mark.parametrize(
    "text",
    sorted(
        {
            *(pattern.text for pattern in DEFAULT_INFRA_STEPS),
            *(
                text
                for file in (*EXAMPLES, *EXAMPLES_IN_TEXT)
                for text in re.findall(
                    r"(?:match|workflow|job_name|branch|event|repo): '([^'\n]+)'",
                    (PROJECT / file).read_text(encoding="utf-8"),
                )
            ),
        }
    ),
)
def test_every_pattern_of_the_examples_means_the_same(text: str) -> None:
    """Documented patterns match what `re` matches, among names made of their own parts."""
    pattern, expected = Pattern(text), re.compile(text)
    parts = [part.replace("\\", "") for part in re.split(r"\.\*|[()|]|\\d\+", text)]
    names = [*parts, "".join(parts), "7 x".join(parts), "x 7".join(["", *parts, ""])]
    for name in (*names, *(name.upper() for name in names)):
        assert pattern.fullmatch(name) is (expected.fullmatch(name) is not None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(?!a)b", "look-around is not supported; match the text itself, or let a rule before it"),
        ("(?<=a)b", "look-around is not supported"),
        (r"(a)\1", "a back-reference is not supported; list the alternatives, as in (aa|bb)"),
        ("(a)" * 12 + r"\12", "a back-reference is not supported"),
        ("(?P<x>a)(?P=x)", "a back-reference is not supported"),
        ("(a)?(?(1)b|c)", "a condition is not supported; write both alternatives, as in (a|b)"),
        ("(?>a)", "a possessive repetition is not supported; repeat by * or + alone"),
        ("a*+", "a possessive repetition is not supported"),
        ("(?x) a", "this flag is not supported; use no flags other than i, m and s"),
        ("a(?#why)", "a comment is not supported; write it as a comment of YAML"),
        (r"\N{BULLET}", r"\N is not supported; write the character itself"),
        (r"[\W_]", r"\W in brackets is not supported; use it without brackets, as in (\W|_)"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("((a{99}){99}){99}", "invalid repetition size"),
        ("\ud800", "contains half a surrogate pair"),
    ],
)
def test_what_cannot_be_used_has_an_error(
    text: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The error names what to write instead; nothing is printed beside it."""
    with pytest.raises(ValueError, match=re.escape(problem)):
        Pattern(text)
    assert capfd.readouterr() == ("", "")


def test_half_a_surrogate_pair_in_a_name_is_one_character() -> None:
    """Such a name, which JSON can contain, is matched like any other."""
    assert Pattern("a.").fullmatch("a\ud800")
    assert Pattern("(a).").expand("a\ud800", r"\1") == "a"


def test_matchers_of_alertmanager_are_read_as_alertmanager_reads_them() -> None:
    """Go's syntax differs from Python's; an invalid expression decides nothing."""
    assert matches_go(r"\pL+", "ab")
    assert matches_go(r"\w", "ü") is False
    assert matches_go("(", "a") is None
    assert matches_go("\ud800", "a") is None


# ---------------------------------------------------------------------- time


LIMIT_SECONDS = 2.0
"""CPU seconds that a text of 10,000 or 100,000 characters may take; most take a hundredth."""


def is_linear(work: Callable[[str], object], text: str, limit: float = LIMIT_SECONDS) -> bool:
    """Return whether a text ten times as long takes much less than a hundred times as long.

    It does not once a text takes `limit` seconds of CPU: `re` is interrupted then.
    """
    short, long = (text * (size // len(text)) for size in (10_000, 100_000))
    try:
        # A busy machine can spoil a measurement.
        return any(
            _seconds(work, long, limit) < max(0.5, 40 * _seconds(work, short, limit))
            for _ in range(3)
        )
    except TimeoutError:
        return False


def _seconds(work: Callable[[str], object], text: str, limit: float) -> float:
    started = time.process_time()
    before = signal.signal(signal.SIGPROF, _interrupt)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        work(text)
        work(text + "\n")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return time.process_time() - started


def _interrupt(_signal: int, _frame: object) -> None:
    raise TimeoutError


@pytest.mark.parametrize("text", ["a.*?b", "(a+)+b"])
def test_an_expression_that_is_not_linear_is_found_out(text: str) -> None:
    """A quadratic expression is not waited for, and neither is an exponential one."""
    assert not is_linear(re.compile(text).search, "a", limit=0.1)


@pytest.mark.parametrize("text", ["(a+)+b", "(a|a)*b", "(.*)*x", ".*a.*a.*a.*a.*b", r"(\w+\s?)*!"])
def test_no_name_keeps_a_pattern_busy(text: str) -> None:
    """Patterns that take years in `re` are linear, with groups too."""
    pattern = Pattern(text)
    assert is_linear(pattern.fullmatch, "a")
    assert is_linear(lambda name: pattern.expand(name, "x"), "a")


Expression = tuple[str, str, int]
"""A pattern, the function of `re` that applies it, and its flags."""


def expressions() -> Iterator[Expression]:
    """Yield every expression of the code with the functions that apply it.

    `config`, `patterns` and `assets` apply theirs to the configuration and to own files alone.
    """
    compiled: dict[str, tuple[str, int]] = {}
    uses: set[tuple[str, str]] = set()
    own = {*PACKAGE.glob("config/*"), *PACKAGE.glob("assets/**/*"), PACKAGE / "patterns.py"}
    for file in {*PACKAGE.rglob("*.py")} - own:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and _is_re(node.value, "compile"):
                assert isinstance(node.value, ast.Call)
                name = ast.unparse(node.targets[0])
                pattern, *flags = node.value.args
                flag = eval(ast.unparse(flags[0]), {"re": re}) if flags else 0  # noqa: S307 — of our own code
                literal = ast.literal_eval(pattern)
                text = literal.decode() if isinstance(literal, bytes) else literal
                compiled[name] = (text, int(flag))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                method = node.func.attr
                if isinstance(node.func.value, ast.Name):
                    uses.add((node.func.value.id, method))
                if _is_re(node, method) and method not in ("compile", "escape"):
                    yield ast.literal_eval(node.args[0]), method, 0
    for name, method in sorted(uses):
        if name in compiled and hasattr(re.compile(""), method):
            yield (compiled[name][0], method, compiled[name][1])


def _is_re(node: ast.AST, method: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == f"re.{method}"


def hostile_texts(pattern: str) -> Iterator[str]:
    """Yield parts of what a pattern looks for, which are repeated."""
    yield from ("a", "1", " ", "`", "://a", "\x1b[", "\x1b[0", " (", ": [", "a / ", ") / ", ".yml@")
    yield "x\n"
    plain = re.sub(r"\\d\+", "1", pattern.replace(".*", "").replace(r"\S+", "k"))
    plain = re.sub(r"\\(.)", r"\1", plain)
    for end in range(1, len(plain) + 1, max(1, len(plain) // 12)):
        yield plain[:end]
    yield from re.findall(r"[^()\[\]|?]{3,}", plain)


def applied(expression: Expression) -> Callable[[str], object]:
    """Return a function that applies an expression to a text."""
    pattern, method, flags = expression
    regex = re.compile(pattern, flags)
    if method == "sub":
        return lambda text: regex.sub("", text)
    if method in ("findall", "finditer"):
        # A list of all matches would cost collections of garbage.
        return lambda text: sum(1 for _ in regex.finditer(text))
    function: Callable[[str], object] = getattr(regex, method)
    return function


@pytest.mark.slow
def test_no_text_of_a_ci_keeps_an_expression_of_the_code_busy() -> None:
    """Each expression is a literal, and linear with each hostile text."""
    found = sorted(set(expressions()))
    assert len(found) >= 19
    assert not [
        (expression, text)
        for expression in found
        for text in hostile_texts(expression[0])
        if not is_linear(applied(expression), text)
    ]


@pytest.mark.parametrize("text", [" / ", " (", "a / b (", ") / (", "a (b) / "])
def test_a_long_name_has_few_callers(text: str) -> None:
    """Names with thousands of levels take neither the time nor the memory of their square."""
    assert is_linear(callers, text)
    assert len(callers(text * 10_000)) <= 50
