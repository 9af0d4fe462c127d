"""What happens to a delivery until it is finished: the loop, its lanes and maintenance. Also lookups, publishing and sealing."""
