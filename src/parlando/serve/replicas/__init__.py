"""Several servers behind one address, by Ray Serve: who gets a request, how many are needed, and what each is."""
