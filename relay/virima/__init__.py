"""The client of Virima's LoginService, and the lookups that the relay makes with it."""
