"""Confirm: CI is asked to run jobs again, to find the commit that broke them."""
