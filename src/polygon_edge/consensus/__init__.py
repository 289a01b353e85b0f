"""Who may sign which block. No sockets, no clock, no database."""
