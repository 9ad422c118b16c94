"""The administration: /admin."""

from gateway.entry.admin import admin_handler

handler = admin_handler()
