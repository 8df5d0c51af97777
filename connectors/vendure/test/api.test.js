'use strict';

const assert = require('node:assert/strict');
const { createServer } = require('node:http');
const { inspect } = require('node:util');
const { test } = require('node:test');
const { Api, Outage, Problem } = require('../lib/api');
const { Gate } = require('../lib/gate');
const { WORDS } = require('../lib/words');

const KEY = 'sk_test_secret';

/** Runs a service that answers like this. */
async function service(t, answer) {
    const server = createServer(answer).listen(0, '127.0.0.1');
    await new Promise(resolve => server.once('listening', resolve));
    t.after(() => { server.closeAllConnections(); server.close(); });
    return new Api({ url: `http://127.0.0.1:${server.address().port}`, key: KEY, timeout: 500 });
}

test('bad options are refused at the start, with what to write', () => {
    const good = { url: 'https://maillon.example', key: KEY, policy: 'pol_1' };
    new Gate(good);
    for (const [bad, says] of [
        [{ url: 'http://maillon.example' }, /https:/],
        [{ url: 'maillon.example' }, /https:/],
        [{ key: 'pk_test_x' }, /begins with sk_/],
        [{ key: undefined }, /begins with sk_/],
        [{ policy: 'SOUK' }, /pol_3/],
        [{ onOutage: 'maybe' }, /closed or open/],
        [{ timeout: 0 }, /milliseconds/],
    ]) {
        assert.throws(() => new Gate({ ...good, ...bad }), says);
    }
});

test('the key is in no print-out', () => {
    const gate = new Gate({ url: 'https://maillon.example', key: KEY, policy: 'pol_1' });
    assert.doesNotMatch(inspect(gate, { depth: 9 }) + JSON.stringify(gate), /secret/);
});

test('the key goes nowhere else, wherever an answer points', async t => {
    let followed = false;
    const api = await service(t, (request, response) => {
        if (request.url === '/elsewhere') followed = true;
        response.writeHead(302, { location: '/elsewhere' }).end();
    });
    await assert.rejects(api.get('/v1/policies/pol_1'), Outage);
    assert.equal(followed, false);
});

test('an answer without an end is not read to its end', async t => {
    const api = await service(t, (_request, response) => {
        const more = () => { while (!response.destroyed && response.write('x'.repeat(1 << 16))); };
        response.on('drain', more);
        more();
    });
    await assert.rejects(api.get('/v1/policies/pol_1'), Outage);
});

test('an error names its code, and neither address nor key nor what was asked', async t => {
    const api = await service(t, (_request, response) => response.writeHead(409).end('{"code": "advance_required"}'));
    await assert.rejects(api.post('/v1/claims', { code: 'SVRD-PV5K' }, 'once'), error => {
        assert.ok(error instanceof Problem);
        assert.equal(error.message, 'maillon: 409 advance_required');
        return true;
    });
});

test('every word is there in both languages', () => {
    assert.deepEqual(Object.keys(WORDS.fr), Object.keys(WORDS.en));
    for (const [key, french] of Object.entries(WORDS.fr)) {
        assert.equal(typeof french, typeof WORDS.en[key], key);
        assert.equal(french.length > 0, true, key);
    }
});
