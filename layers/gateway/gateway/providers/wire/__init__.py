"""The wire families that providers share."""
