"""The marshmallow schemas of what web answers and takes, one noun per file. They describe: web does not use them."""
