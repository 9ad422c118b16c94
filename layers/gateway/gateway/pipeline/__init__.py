"""One request from key to reply; `chat.run` is the table of contents."""
