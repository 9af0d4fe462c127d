signature = toHex(signature);
