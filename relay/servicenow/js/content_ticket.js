var content = describe(current);
