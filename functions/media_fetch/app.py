"""Fetches a URL for another function, under the streaming runtime client; no route leads here."""

from gateway.entry.media_fetch import media_fetch_handler

handler = media_fetch_handler()
