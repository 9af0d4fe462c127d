// As much of a ServiceNow instance as the scripts use. Runs one script, with real HTTP calls, and tells what it did.
// In: {script, now, scope, properties, messages, tables, current, previous, table, refuses}. Out: {posts, logs, thrown, queries}.
'use strict';
const childProcess = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const vm = require('vm');

// What ServiceNow's Java hands out: no primitive, but something with a toString.
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
            found = found.filter((one) => states[1].split(',').includes(one.state.value));
        } else if (hours) {
            found = found.filter((one) => Date.parse(one.sys_updated_on.replace(' ', 'T') + 'Z') > now - hours[1] * 3600e3);
        } else if (part === 'ORDERBYsys_updated_on') {
            found.sort((one, other) => (one.sys_updated_on < other.sys_updated_on ? -1 : 1));
        } else {
            throw new Error('a query that this instance does not know: ' + part);
        }
    }
    return found;
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
            if (given.refuses) {
                throw new Error(given.refuses);
            }
            const input = JSON.stringify(call);
            const output = childProcess.execFileSync(process.execPath, [__filename, 'call'], {input, encoding: 'utf8'});
            const answer = JSON.parse(output);
            posts.push({...call, ...answer, waited: true});
            return {
                getStatusCode: () => answer.status,
                getBody: () => answer.answer,
                getErrorMessage: () => answer.fault || null
            };
        };
        this.executeAsync = () => {
            if (given.refuses) {
                throw new Error(given.refuses);
            }
            pending.push(send(call).then((answer) => posts.push({...call, ...answer, waited: false})));
            // Asking this one would hold the user's form up.
            return new Proxy({}, {get: () => { throw new Error('the script waits for the answer'); }});
        };
    };
}

function send(call) {
    return new Promise((resolve) => {
        const headers = {...call.headers, 'Content-Length': Buffer.byteLength(call.body)};
        const request = http.request(call.url, {method: 'POST', headers, timeout: call.timeout}, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('end', () => resolve({status: response.statusCode, answer: Buffer.concat(parts).toString('utf8')}));
        });
        request.on('error', (error) => resolve({status: 0, answer: '', fault: error.code}));
        request.end(call.body);
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
    process.stdout.write(JSON.stringify({posts, logs, thrown, queries, leaked}));
}

function parse(script) {
    const acorn = require('internal/deps/acorn/acorn/dist/acorn'); // with --expose-internals
    const tree = acorn.parse(script, {ecmaVersion: 5});
    process.stdout.write(JSON.stringify({statements: tree.body.map((one) => one.type)}));
}

const text = fs.readFileSync(0, 'utf8');
if (process.argv[2] === 'call') {
    send(JSON.parse(text)).then((answer) => process.stdout.write(JSON.stringify(answer)));
} else if (process.argv[2] === 'parse') {
    parse(text);
} else {
    run(JSON.parse(text));
}
