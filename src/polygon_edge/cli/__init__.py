"""The command line: flags in, verbs called, errors out."""
