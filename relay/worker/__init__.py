"""A delivery until it is finished: the loop, its lanes, resolver lookups, publishing to IEM, sealing and maintenance."""
