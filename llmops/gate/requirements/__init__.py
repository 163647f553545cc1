"""Requirements of a policy: how each kind is decided, and on which figures."""
