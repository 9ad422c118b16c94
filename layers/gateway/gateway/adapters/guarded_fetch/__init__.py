"""Calling a URL that somebody else chose, without reaching anything that only this side of the firewall can reach.

refusal   what was not fetched, and why, by code
target    the URL rules: scheme, user info, host, port
address   the address rules: which IP addresses are public
resolve   one name to all its addresses
pin       resolve once, check all, connect to an address that was checked
fetch     GET: hop by hop, redirects followed by hand, nothing kept of one fetch for the next
post      POST with a body: no redirect, connections kept
"""
