"""Files of tenants: /v1/files."""

from gateway.entry.files import files_handler

handler = files_handler()
