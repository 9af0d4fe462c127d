// The key and the result are in base64. Scoped applications have CertificateEncryption, the scope Global has
// GlideCertificateEncryption.
function mac(signed, key) {
    var encryption = typeof CertificateEncryption === 'undefined' ?
        new GlideCertificateEncryption() : new CertificateEncryption();
    return String(encryption.generateMac(key, RELAY.algorithm, signed));
}
