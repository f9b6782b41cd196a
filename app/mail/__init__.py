"""Mail: services write it into the outbox, within their transaction; the application sends it afterwards."""
