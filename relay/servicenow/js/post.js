// Posts `text` and waits for the answer. Without an answer, the status is 0.
function post(text) {
    try {
        var response = makeRequest(text).execute();
        var status = Number(response.getStatusCode()) || 0;
        return {status: status, body: string(status ? response.getBody() : response.getErrorMessage())};
    } catch (error) {
        return {status: 0, body: messageOf(error)};
    }
}

function describeAnswer(answer) {
    return (answer.status || 'no answer:') + ' ' + answer.body.slice(0, 100);
}
