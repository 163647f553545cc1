"""From token ids to answers: batches, their memory, sampling, likelihoods."""
