"""What the gateway lets in: connections, hosts, pages and bodies within limits."""
