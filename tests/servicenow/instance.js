// The part of a ServiceNow instance that the scripts use. Each script runs in a context of its own, with real HTTP calls.
// Reads a request per line from standard input, and writes an answer per line to standard output:
// {run: {script, now, scope, properties, messages, tables, current, previous, table, executeError}}
//   -> {posts, logs, thrown, queries, leaked}
// {parse: script} -> {statements}, or {error} if the script is not ECMAScript 5. Needs the option --expose-internals.
'use strict';
const crypto = require('crypto');
const http = require('http');
const readline = require('readline');
const vm = require('vm');
const {Worker, MessageChannel, isMainThread, receiveMessageOnPort, workerData} = require('worker_threads');

// ServiceNow's Java returns such objects instead of primitive strings.
function javaString(text) {
    return {toString: () => text};
}

function makeRecord(fields, table) {
    const record = {
        getUniqueValue: () => javaString(fields.sys_id),
        getTableName: () => javaString(table),
        getValue: (name) => {
            const value = fields[name];
            if (value === undefined || value === null || value === '') {
                return null;
            }
            return javaString(String(value.value === undefined ? value : value.value));
        },
        getDisplayValue: (name) => {
            const value = fields[name];
            return javaString(value && value.display_value !== undefined ? value.display_value : String(value || ''));
        }
    };
    for (const name of ['resolved_by', 'closed_by']) {
        if (name in fields) {
            record[name] = {toString: () => 'a sys_id', email: fields[name] ? javaString(fields[name]) : undefined};
        }
    }
    return record;
}

function makeGlideRecord(given, queries) {
    return function GlideRecord(table) {
        let query = '';
        let found = [];
        this.addEncodedQuery = (text) => { query = text; };
        this.query = () => {
            queries.push(query);
            found = search(given.tables[table], query, given.now);
        };
        this.next = () => {
            const fields = found.shift();
            if (fields) {
                Object.assign(this, {resolved_by: undefined, closed_by: undefined}, makeRecord(fields, table));
            }
            return !!fields;
        };
    };
}

function search(records, query, now) {
    let found = records.slice();
    for (const part of query.split('^')) {
        const states = /^stateIN(.*)$/.exec(part);
        const hours = /^sys_updated_onRELATIVEGT@hour@ago@(\d+)$/.exec(part);
        if (states) {
            found = found.filter((record) => states[1].split(',').includes(record.state.value));
        } else if (hours) {
            found = found.filter((record) => updatedAt(record) > now - hours[1] * 3600e3);
        } else if (part === 'ORDERBYsys_updated_on') {
            found.sort((first, second) => updatedAt(first) - updatedAt(second));
        } else {
            throw new Error('this instance does not support the query ' + part);
        }
    }
    return found;
}

function updatedAt(record) {
    return Date.parse(record.sys_updated_on.replace(' ', 'T') + 'Z');
}

function makeRestMessage(given, posts, pending) {
    return function RESTMessageV2(name, method) {
        const message = given.messages[name];
        if (!message || method !== 'post') {
            throw new Error('there is no REST message ' + name + ' with a method ' + method);
        }
        const call = {headers: {'User-Agent': 'ServiceNow/1.0'}, body: '', timeout: null, url: ''};
        if (message.username) {
            const pair = message.username + ':' + message.password;
            call.headers.Authorization = 'Basic ' + Buffer.from(pair).toString('base64');
        }
        this.setEndpoint = (url) => { call.url = url; };
        this.setHttpTimeout = (timeout) => { call.timeout = timeout; };
        this.setRequestHeader = (header, value) => { call.headers[header] = value; };
        this.setRequestBody = (body) => { call.body = body; };
        this.execute = () => {
            if (given.executeError) {
                throw new Error(given.executeError);
            }
            const answer = sendAndWait(call);
            posts.push({...call, ...answer, waited: true});
            return {
                getStatusCode: () => answer.status,
                getBody: () => answer.answer,
                getErrorMessage: () => answer.fault || null
            };
        };
        this.executeAsync = () => {
            if (given.executeError) {
                throw new Error(given.executeError);
            }
            pending.push(send(call).then((answer) => posts.push({...call, ...answer, waited: false})));
            // A script that read the answer would block the user's form.
            return new Proxy({}, {get: () => { throw new Error('the script waits for the answer'); }});
        };
    };
}

function send(call) {
    return new Promise((resolve) => {
        const headers = {...call.headers, 'Content-Length': Buffer.byteLength(call.body)};
        const options = {method: 'POST', headers, timeout: call.timeout, agent: false}; // a new connection for each call
        const request = http.request(call.url, options, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('end', () => resolve({status: response.statusCode, answer: Buffer.concat(parts).toString('utf8')}));
        });
        request.on('error', (error) => resolve({status: 0, answer: '', fault: error.code}));
        request.end(call.body);
    });
}

let sender = null;

// Sends in a second thread, while this one waits: scripts call `execute` synchronously.
function sendAndWait(call) {
    if (!sender) {
        const {port1, port2} = new MessageChannel();
        const isAnswered = new Int32Array(new SharedArrayBuffer(4));
        new Worker(__filename, {workerData: {port: port2, isAnswered}, transferList: [port2]}).unref();
        sender = {port: port1, isAnswered};
    }
    Atomics.store(sender.isAnswered, 0, 0);
    sender.port.postMessage(call);
    Atomics.wait(sender.isAnswered, 0, 0);
    return receiveMessageOnPort(sender.port).message;
}

function sendForMainThread({port, isAnswered}) {
    port.on('message', async (call) => {
        port.postMessage(await send(call));
        Atomics.store(isAnswered, 0, 1);
        Atomics.notify(isAnswered, 0);
    });
}

function makeEncryption() {
    return function CertificateEncryption() {
        this.generateMac = (key, algorithm, text) => javaString(
            crypto.createHmac(algorithm.replace('Hmac', ''), Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64'));
    };
}

async function run(given) {
    const posts = [];
    const logs = [];
    const pending = [];
    const queries = [];
    const context = {
        gs: {
            getProperty: (name) => (name in given.properties ? javaString(given.properties[name]) : null),
            generateGUID: () => javaString(crypto.randomUUID().replace(/-/g, '')),
            error: (text) => logs.push({level: 'error', text}),
            info: (text) => logs.push({level: 'info', text})
        },
        sn_ws: {RESTMessageV2: makeRestMessage(given, posts, pending)},
        GlideRecord: makeGlideRecord(given, queries),
        current: given.current && makeRecord(given.current, given.table),
        previous: given.previous && makeRecord(given.previous, given.table)
    };
    context[given.scope === 'global' ? 'GlideCertificateEncryption' : 'CertificateEncryption'] = makeEncryption();
    const names = Object.keys(context);
    vm.createContext(context);
    let thrown = null;
    try {
        vm.runInContext(given.script, context);
    } catch (error) {
        thrown = String(error);
    }
    await Promise.all(pending);
    const leaked = Object.keys(context).filter((name) => !names.includes(name));
    return {posts, logs, thrown, queries, leaked};
}

function parse(script) {
    const acorn = require('internal/deps/acorn/acorn/dist/acorn');
    const tree = acorn.parse(script, {ecmaVersion: 5});
    return {statements: tree.body.map((statement) => statement.type)};
}

async function answer(request) {
    try {
        return 'run' in request ? await run(request.run) : parse(request.parse);
    } catch (error) {
        return {error: String(error)};
    }
}

async function answerAll() {
    for await (const line of readline.createInterface({input: process.stdin})) {
        process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
    }
    process.exit();
}

if (isMainThread) {
    answerAll();
} else {
    sendForMainThread(workerData);
}
