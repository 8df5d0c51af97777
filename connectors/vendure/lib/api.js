'use strict';

const { setTimeout: wait } = require('node:timers/promises');

/** How much is read of an answer, in octets. */
const MAX_ANSWER = 1 << 18;
/** How often something is asked before it counts as unreachable, and how long between. */
const ATTEMPTS = 2;
const PAUSE = 200; // ms
/** How long an answer is waited for, unless the shop says otherwise. */
const TIMEOUT = 4000; // ms

/** What maillon refuses: `code` is its stable name, see the API. */
class Problem extends Error {
    constructor(status, body) {
        super(`maillon: ${status} ${body.code ?? 'without a code'}`);
        this.status = status;
        this.code = body.code;
        this.state = body.state;
    }
}

/** No answer, or one that says that the service is not there. */
class Outage extends Error {
    constructor(why) {
        super(`maillon cannot be reached: ${why}`);
    }
}

/** What the connector asks of maillon, over HTTP. Errors name no address, key, number or code. */
class Api {
    constructor({ url, key, timeout = TIMEOUT }) {
        this.url = base(url);
        if (typeof key !== 'string' || !/^sk_[!-~]+$/.test(key)) {
            throw new Error('maillon: `key` is not a merchant\'s secret key, which begins with sk_');
        }
        if (!Number.isInteger(timeout) || timeout < 1) {
            throw new Error('maillon: `timeout` is a number of milliseconds');
        }
        this.timeout = timeout;
        // Not enumerable, so that nothing that prints this prints the key.
        Object.defineProperty(this, 'authorization', { value: `Bearer ${key}` });
    }

    get(path) {
        return this.#ask('GET', path);
    }

    /** What changes something is named by `once`, and so is done once however often it is asked. */
    post(path, body, once) {
        return this.#ask('POST', path, body, once);
    }

    async #ask(method, path, body, once) {
        for (let attempt = 1; ; attempt++) {
            try {
                return await this.#send(method, path, body, once);
            } catch (error) {
                if (!(error instanceof Outage) || error.late || attempt === ATTEMPTS) throw error;
            }
            await wait(PAUSE);
        }
    }

    async #send(method, path, body, once) {
        const headers = { authorization: this.authorization, accept: 'application/json' };
        if (body !== undefined) headers['content-type'] = 'application/json';
        if (once !== undefined) headers['idempotency-key'] = once;
        let response, text;
        try {
            response = await fetch(this.url + path, {
                method,
                headers,
                body: body === undefined ? undefined : JSON.stringify(body),
                redirect: 'error', // the key goes nowhere else
                signal: AbortSignal.timeout(this.timeout),
            });
            text = await read(response);
        } catch (error) {
            const outage = new Outage(error.name === 'TimeoutError' ? `no answer in ${this.timeout} ms` : 'no connection');
            outage.late = error.name === 'TimeoutError'; // a client waits: once is enough
            throw outage;
        }
        if (response.status >= 500) throw new Outage(`status ${response.status}`);
        let answer;
        try {
            answer = JSON.parse(text);
        } catch {
            throw new Outage(`status ${response.status}, but no JSON`);
        }
        if (!response.ok) throw new Problem(response.status, answer);
        return answer;
    }
}

/** The key goes over TLS, or does not leave the machine. */
function base(url) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    const here = ['localhost', '127.0.0.1', '[::1]'].includes(parsed?.hostname);
    if (parsed?.protocol !== 'https:' && !(parsed?.protocol === 'http:' && here)) {
        throw new Error('maillon: `url` is https://…, or http:// on this machine');
    }
    return parsed.href.replace(/\/+$/, '');
}

async function read(response) {
    const chunks = [];
    let size = 0;
    for await (const chunk of response.body ?? []) {
        size += chunk.length;
        if (size > MAX_ANSWER) throw new Error('answer too long');
        chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
}

module.exports = { Api, Problem, Outage };
