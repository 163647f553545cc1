"""Token ids in, answers out: batches and their memory, sampling, likelihoods."""
