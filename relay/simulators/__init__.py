"""Simulated HCL IEM and Virima, for the demo, the tests, the benchmarks and `relay simulate`.

`iem.Iem` and `virima.Virima` know their contracts and no sockets; `server.SimulatorServer` serves either of
them on loopback, breaks it on demand (`faults.Fault`) and keeps what it got (`record.Record`). Nothing here
imports the rest of the relay.
"""
