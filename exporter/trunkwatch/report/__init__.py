"""What programs and people read: the JSON object (`document`), tables and the walk (`text`)."""
