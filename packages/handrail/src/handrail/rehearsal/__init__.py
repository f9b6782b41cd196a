"""Run a revision up, down and up again on a throwaway database with rows in it, and tell what it did."""
