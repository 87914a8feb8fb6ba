"""A fake of ClickHouse's HTTP interface, and the real engine behind it."""
