// The key is in base64, and so is the result. A scoped application has the first, the scope Global the second.
function mac(signed, key) {
    var encryption = typeof CertificateEncryption === 'undefined' ?
        new GlideCertificateEncryption() : new CertificateEncryption();
    return String(encryption.generateMac(key, RELAY.algorithm, signed));
}
