'use strict';

const { createServer } = require('node:http');

// As much of maillon's API as the connector asks, in memory, with what a test can
// break. The rules themselves are maillon's: the end-to-end test has the real one.

const policyOf = given => ({
    object: 'policy', id: 'pol_1', keyword: 'SOUK', short_code: '2121', flow: 'code', kind: 'deposit', messages_required: 2, price: 1000,
    currency: 'MAD', advance_per_order: 0, max_orders: 2, on_outage: 'closed', ...given,
});

/** Starts a service in which `codes` (or numbers, or names) are authorized; its `url`, `asked`, `claims`, `policy` and `fault` are the test's. */
async function openFake({ codes = ['SVRDPV5K'], policy } = {}) {
    const fake = {
        /** The number of the last claim: none is given twice, or what the shop still had to say of an order before a fresh start would be said of another. */
        last: 1000,
        /** As after a fresh start, with this policy. */
        start: change => Object.assign(fake, { policy: policyOf(change), claims: [], asked: [], used: 0, answers: new Map(), fault: undefined }),
    };
    fake.start(policy);
    const server = createServer(async (request, response) => {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : undefined;
        const url = new URL(request.url, 'http://fake');
        const asked = { method: request.method, path: url.pathname, body, key: request.headers['idempotency-key'], authorization: request.headers.authorization };
        fake.asked.push(asked);
        if (fake.fault?.(asked, response)) return;
        const [status, answer] = decide(fake, codes, asked, url);
        response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' }).end(JSON.stringify(answer));
    });
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
    fake.url = `http://127.0.0.1:${server.address().port}`;
    fake.close = () => { server.closeAllConnections(); server.close(); };
    return fake;
}

function decide(fake, codes, { method, path, body, key }, url) {
    if (method === 'POST' && key === undefined && path !== '/v1/authorizations/check') return problem(400, 'idempotency_key_missing');
    if (path === `/v1/policies/${fake.policy.id}`) return [200, fake.policy];
    if (path === '/v1/authorizations') {
        return [201, { object: 'authorization', status: 'pending', instructions: { ...send(fake), text: `${fake.policy.keyword} ${body.username} 4821` } }];
    }
    if (path === '/v1/authorizations/check') {
        const [claim, reason] = allows(fake, codes, body);
        const advance = claim?.advance_amount ?? fake.policy.advance_per_order;
        return [200, {
            object: 'check', allowed: !reason, reason: reason ?? null, advance_amount: reason ? 0 : advance, cash_due: body.order_total - advance,
            authorization: null, claim: claim?.id ?? null, on_outage: fake.policy.on_outage, instructions: reason ? send(fake) : null,
        }];
    }
    if (path === '/v1/claims' && method === 'POST') {
        if (fake.answers.has(key)) return [201, fake.answers.get(key)];
        const [claim, reason] = allows(fake, codes, body);
        if (claim && !reason) return [200, claim];
        if (reason) return problem(409, reason);
        fake.used++;
        const made = {
            object: 'claim', id: `clm_${++fake.last}`, order_ref: body.order_ref, order_total: body.order_total, currency: body.currency,
            delivery: body.delivery, pickup_point: body.pickup_point ?? null, status: 'reserved',
            advance_amount: fake.policy.advance_per_order, cash_due: body.order_total - fake.policy.advance_per_order,
        };
        fake.claims.push(made);
        fake.answers.set(key, { ...made });
        return [201, made];
    }
    if (path === '/v1/claims') return [200, { data: fake.claims.filter(claim => claim.order_ref === url.searchParams.get('order_ref') && claim.status !== 'released') }];
    const [, id, act] = path.match(/^\/v1\/claims\/(clm_\d+)(?:\/(\w+))?$/) ?? [];
    const claim = fake.claims.find(one => one.id === id);
    if (!claim) return problem(404, 'claim_not_found');
    if (act) {
        const next = { confirm: 'open', honour: 'honoured', release: 'released', not_honoured: 'not_honoured', withdraw: 'withdrawn' }[act];
        if (claim.status !== next && !['reserved', 'open'].includes(claim.status)) return problem(409, 'wrong_state', { state: claim.status });
        if (next === 'released' && claim.status !== 'released') fake.used--;
        Object.assign(claim, { status: next, reason: body?.reason ?? null, evidence: body?.evidence ?? [] });
    }
    return [200, claim];
}

function allows(fake, codes, body) {
    const claim = fake.claims.find(one => one.order_ref === body.order_ref && one.status !== 'released'); // such an order may be asked for again
    if (claim) return claim.order_total === body.order_total ? [claim] : [claim, 'order_ref_conflict'];
    const who = (body.code ?? body.phone ?? body.username).replace(/[ -]/g, '').toUpperCase();
    if (!codes.map(code => code.toUpperCase()).includes(who)) return [undefined, 'authorization_not_found'];
    if (fake.used >= fake.policy.max_orders) return [undefined, 'authorization_exhausted'];
    return [];
}

function send({ policy }) {
    return { short_code: policy.short_code, keyword: policy.keyword, text: policy.keyword, messages: policy.messages_required, price: policy.price, currency: policy.currency };
}

const problem = (status, code, more) => [status, { type: 'about:blank', status, title: code, code, detail: code, ...more }];

module.exports = { openFake };
