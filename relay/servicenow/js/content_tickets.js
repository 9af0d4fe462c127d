var content = contents;
