"""The `hmm` command: one small file per command; what is slow to import is imported inside the commands."""
