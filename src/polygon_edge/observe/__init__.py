"""What every layer may report through: log lines and the progress of long work, always on standard error."""
