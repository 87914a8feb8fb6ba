"""The command line: whole-program transcripts, and its log lines."""
