"""The gateway: the process that answers a deployment's clients and chooses the version that answers.

``proxy`` passes requests on to an engine, ``versions`` swaps what serves, ``doors`` refuses what
must not come in. What other rooms plug in (keys, traces) is described in ``hooks``.
"""
