"""The hypothesis profiles: how many examples each tier of the tests tries.

`pytest --hypothesis-profile=quick` chooses one; without the option it is `default`.
"""

from hypothesis import settings

USUAL = 100
"""`max_examples` that the profiles are measured by; the number that hypothesis itself tries."""


def register_profiles() -> None:
    """Register the profiles and load `default`, whatever the environment variable CI selects."""
    # The same examples in every run: a change is judged by what it changes, not by luck.
    repeatable = settings(deadline=None, derandomize=True, database=None)
    settings.register_profile("quick", repeatable, max_examples=USUAL // 10)
    settings.register_profile("default", repeatable, max_examples=USUAL // 4)
    # The examples follow from --hypothesis-seed, which `make test-all` sets.
    settings.register_profile(
        "thorough", repeatable, max_examples=USUAL * 10, derandomize=False, print_blob=True
    )
    settings.load_profile("default")


def examples(usual: int) -> int:
    """Return the number of examples that the loaded profile tries of a test's usual number."""
    return max(1, usual * settings().max_examples // USUAL)
