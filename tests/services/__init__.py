"""Private servers for tests: each on its own port and folder, gone when the test is, found again after a kill."""
