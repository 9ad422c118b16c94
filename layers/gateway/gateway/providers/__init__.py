"""One file per provider, found by its name: `gateway.providers.<name>` exports `PROVIDER`. No I/O in here."""
