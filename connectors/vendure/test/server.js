'use strict';

// The real maillon: built from this repository, in an empty folder.

const assert = require('node:assert/strict');
const { execFile, spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join, resolve } = require('node:path');
const { promisify } = require('node:util');
const { freePort, until } = require('./shop');

const run = promisify(execFile);
const ROOT = resolve(__dirname, '../../..');

/** Builds maillon, starts it, and makes a merchant with a key for tests. */
async function openServer() {
    const folder = mkdtempSync(join(tmpdir(), 'maillon-'));
    const program = join(folder, 'maillon');
    await run('go', ['build', '-o', program, '.'], { cwd: ROOT });
    const server = new Server(folder, program, await freePort());
    await server.start();
    await server.furnish();
    return server;
}

class Server {
    constructor(folder, program, port) {
        Object.assign(this, { folder, program, port, url: `http://127.0.0.1:${port}` });
    }

    async start() {
        this.process = spawn(this.program, ['serve', '--listen', `127.0.0.1:${this.port}`], { cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] });
        this.said = '';
        this.process.stderr.on('data', chunk => { this.said += chunk; });
        await until('maillon answers', () => {
            assert.equal(this.process.exitCode, null, this.said);
            return fetch(this.url, { redirect: 'manual' }).then(() => true, () => false);
        });
    }

    async stop() {
        const ended = once(this.process, 'exit');
        this.process.kill('SIGTERM');
        await ended;
    }

    /** One command of the operator. */
    async command(...args) {
        const { stdout } = await run(this.program, args, { cwd: this.folder });
        return stdout.trim();
    }

    async furnish() {
        await this.command('merchant', 'add', 'Souk');
        this.key = await this.command('merchant', 'key', 'Souk', '--test', '--name', 'test');
        // What the README tells shops to ask for is all that the connector needs.
        const [, scopes] = readFileSync(join(__dirname, '../README.md'), 'utf8').match(/--scope (\S+)/);
        this.shopKey = await this.command('merchant', 'key', 'Souk', '--test', '--name', 'vendure', '--scope', scopes);
    }

    /** One request of the merchant's own programs. */
    async ask(method, path, body) {
        const headers = { authorization: `Bearer ${this.key}`, 'content-type': 'application/json', 'idempotency-key': `test.${Math.random()}` };
        const response = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
        const answer = await response.json();
        assert.ok(response.ok, `${method} ${path}: ${response.status} ${answer.code} ${answer.detail}`);
        return answer;
    }

    policy(given) {
        return this.ask('POST', '/v1/policies', { currency: 'MAD', price: 1000, short_code: '2121', ...given });
    }

    /** A premium SMS of the client comes in; what she is answered. */
    async sms(from, text, id) {
        return (await this.ask('POST', '/v1/test/inbound_messages', { from, text, id, charge: { currency: 'MAD', gross: 1000, net: 417 } })).reply;
    }

    async claimOf(order) {
        const { data } = await this.ask('GET', `/v1/claims?order_ref=${order}`);
        return data[0];
    }

    /** Lets time pass, in test mode. */
    wait(hours) {
        return this.ask('POST', '/v1/test/clock', { advance: hours * 3600 });
    }

    async close() {
        await this.stop();
        rmSync(this.folder, { recursive: true });
    }
}

module.exports = { openServer };
