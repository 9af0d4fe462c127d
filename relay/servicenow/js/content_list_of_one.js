var content = [describe(current)];
