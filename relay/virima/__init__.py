"""The client of Virima's LoginService, and the lookups of resolvers."""
