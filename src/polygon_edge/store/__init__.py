"""Where a chain lives on disk."""
