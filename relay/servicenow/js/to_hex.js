function toHex(base64) {
    var digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    var hex = '';
    var pending = 0;
    var bits = 0;
    for (var i = 0; i < base64.length; i++) {
        var digit = digits.indexOf(base64.charAt(i));
        if (digit >= 0) { // not the padding
            pending = ((pending << 6) | digit) & 0xfff;
            bits += 6;
        }
        while (bits >= 4) {
            bits -= 4;
            hex += ((pending >> bits) & 15).toString(16);
        }
    }
    return hex.slice(0, hex.length - hex.length % 2);
}
