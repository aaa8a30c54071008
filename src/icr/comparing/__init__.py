"""Several seeds of two ways of training: running them, gathering runs that are there already, judging either."""
