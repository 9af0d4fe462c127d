// Posts `text` and waits for the answer. Status 0: there was none.
function post(text) {
    try {
        var response = makeRequest(text).execute();
        var status = Number(response.getStatusCode()) || 0;
        return {status: status, body: string(status ? response.getBody() : response.getErrorMessage())};
    } catch (error) {
        return {status: 0, body: reason(error)};
    }
}

function told(answer) {
    return (answer.status || 'no answer:') + ' ' + answer.body.slice(0, 100);
}
