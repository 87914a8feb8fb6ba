"""The HTTP client kit: requests, conditional lists, rate limits and credentials of any JSON API.

A vendor's own facts are an `ApiRules`; nothing else here has to change for a new one.
"""

from trunkwatch.rest.client import Query, Reply, RestClient, without_credentials
from trunkwatch.rest.credentials import (
    Authorization,
    EnvToken,
    FileToken,
    NoToken,
    RefusedCredential,
    fingerprint_of,
    has_signature,
    is_header_word,
    read_secret,
)
from trunkwatch.rest.http import Answer, ApiRules, HttpContext
from trunkwatch.rest.limits import Quota, RateLimit, RateLimitHeaders, RefreshBudget
from trunkwatch.rest.lists import EtagCache, ListClient, Listing, Page

__all__ = [
    "Answer",
    "ApiRules",
    "Authorization",
    "EnvToken",
    "EtagCache",
    "FileToken",
    "HttpContext",
    "ListClient",
    "Listing",
    "NoToken",
    "Page",
    "Query",
    "Quota",
    "RateLimit",
    "RateLimitHeaders",
    "RefreshBudget",
    "RefusedCredential",
    "Reply",
    "RestClient",
    "fingerprint_of",
    "has_signature",
    "is_header_word",
    "read_secret",
    "without_credentials",
]
