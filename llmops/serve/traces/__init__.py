"""Traces of a deployment's answers, written to MLflow by a process of their own.

The gateway's ``recorder`` puts each finished exchange on a bounded queue; a thread of ``pipe`` hands
it to the ``exporter``, which reads the answer out of it (``content``), redacts, and writes batches.
Nothing of this can delay an answer: what does not fit is dropped and counted.
"""
