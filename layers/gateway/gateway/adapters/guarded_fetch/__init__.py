"""Fetching a URL that a stranger chose, without reaching anything that only this side of the firewall can reach.

refusal   what was not fetched, and why, by code
target    the URL rules: scheme, user info, host, port
address   the address rules: which IP addresses are public
resolve   one name to all its addresses
fetch     the hops: resolve once, check all, connect to the address that was checked, follow redirects by hand
"""
