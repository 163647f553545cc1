"""What others wrote and this machine evaluates: chat templates, patterns of module names.

Both can run for ever or fill the memory: a template has nested loops, a pattern may backtrack
exponentially, and neither Jinja's sandbox nor ``re`` limits that. So both run in a process whose CPU
time and memory the kernel limits.
"""
