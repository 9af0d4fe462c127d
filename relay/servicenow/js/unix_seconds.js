function unixSeconds() {
    return String(Math.floor(new Date().getTime() / 1000));
}
