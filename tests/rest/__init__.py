"""Tests of the HTTP client kit, against servers on loopback."""
