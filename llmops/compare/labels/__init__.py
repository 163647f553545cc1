"""Human labels of a random sample of prompts, combined with a scorer over all prompts.

``draw`` chooses the prompts, ``sheet`` writes and reads the file that humans fill in, ``combine``
estimates by prediction-powered inference, and ``step`` is what the command line does with them.
"""
