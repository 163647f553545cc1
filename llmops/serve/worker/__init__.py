"""The process that answers: an ASGI application over one engine."""
