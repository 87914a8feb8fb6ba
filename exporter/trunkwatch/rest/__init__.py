"""The HTTP client kit: requests, conditional lists, rate limits and credentials of any JSON API.

`client` sends requests, `lists` reads lists, `limits` has quotas, `credentials` tokens and secrets.
A vendor's own facts are an `ApiRules` (`http`); nothing else here changes for a new one.
"""
