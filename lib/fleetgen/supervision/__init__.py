"""supervisord underneath: from the configuration to its file, talking to it, and what runs inside it."""
