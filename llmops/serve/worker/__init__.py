"""The server process of a deployment: an ASGI application over one engine."""
