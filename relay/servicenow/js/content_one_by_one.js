var content = contents[0];
