"""The client of HCL IEM's REST API (IEM v1.0 API Guide): the only room, with virima, that knows requests."""
