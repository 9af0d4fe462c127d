"""The client of HCL IEM's REST API (IEM v1.0 API Guide)."""
