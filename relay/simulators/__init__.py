"""Simulated HCL IEM and Virima, for the demo, the tests, the benchmarks and `relay simulate`.

`SimulatedIem` and `SimulatedVirima` implement the contracts, without sockets. `SimulatorServer` serves one of them on
loopback, simulates faults on demand (`SimulatedFault`) and logs the requests (`RequestLog`). Nothing here imports the
rest of the relay.
"""
