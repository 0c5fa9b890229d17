"""A run: begin, resume, extend, verify, rerank, remake and export it; results and plots."""
