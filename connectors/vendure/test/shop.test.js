'use strict';

// The connector in a real Vendure, with a service that the test can break.

const assert = require('node:assert/strict');
const { after, afterEach, before, beforeEach, test } = require('node:test');
const { openFake } = require('./fake');
const { openShop, until, PRICE } = require('./shop');

const CODE = 'SVRD-PV5K';
let fake, shop;

before(async () => {
    fake = await openFake({ codes: ['SVRDPV5K', '+212600000001'] });
    shop = await openShop({
        url: fake.url, key: 'sk_test_of_the_shop', policy: 'pol_1', timeout: 10_000, confirmEvery: 50, pickups: { collect: 'Fes' },
    });
});
after(async () => {
    await shop?.close();
    fake?.close();
});
beforeEach(() => {
    fake.start({ max_orders: 100 });
    shop.forget();
});
afterEach(() => {
    fake.fault = undefined;
    shop.patience(10_000);
});

/** The service takes what is asked and never answers; the shop does not wait for long. */
function silent() {
    shop.patience(300);
    return true;
}

/** The merchant changes the policy, and the shop has noticed. */
function policy(change) {
    Object.assign(fake.policy, change);
    shop.forget();
}

/** Waits until administrators read this about the order. */
function noted(cart, what) {
    return until(`a note ${what}`, async () => (await shop.orderByCode(cart.code)).history.items.some(item => what.test(item.data.note)));
}

/** An order that was placed, with its claim. */
async function placed(options) {
    const cart = await shop.cart(options);
    await cart.enter(CODE);
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    await until('the claim is open', () => fake.claims.at(-1).status === 'open');
    return shop.orderByCode(cart.code);
}

test('who has no code reads what to send, in her language', async () => {
    const french = (await (await shop.cart({ language: 'fr' })).methods())['cod-cash'];
    assert.equal(french.isEligible, false);
    assert.match(french.eligibilityMessage, /saisissez votre code.*envoyez 2 fois par SMS SOUK au 2121 \(.*10,00.* par SMS\)/);
    const english = (await (await shop.cart({ language: 'en' })).methods())['cod-cash'];
    assert.match(english.eligibilityMessage, /enter your code.*send SOUK by SMS to 2121, 2 times \(.*10\.00.* an SMS\)/);
});

test('the service hears who asks, for what and how it is delivered, and no name', async () => {
    const cart = await shop.cart({ delivery: 'collect', phone: '+212600000001' });
    await cart.enter('svrd pv5k');
    assert.equal((await cart.methods())['cod-cash'].isEligible, true);
    const { body, authorization } = fake.asked.findLast(asked => asked.path === '/v1/authorizations/check');
    const { shopper, ...rest } = body;
    assert.match(shopper, /^[0-9a-f]{32}$/);
    assert.equal(authorization, 'Bearer sk_test_of_the_shop');
    assert.deepEqual(rest, {
        code: 'svrd pv5k', policy: 'pol_1', order_ref: cart.code, order_total: PRICE, currency: 'MAD', delivery: 'pickup', pickup_point: 'Fes',
    });
});

test('by telephone: the number of the client says who she is', async () => {
    policy({ flow: 'phone' });
    assert.match((await (await shop.cart()).methods())['cod-cash'].eligibilityMessage, /give your telephone number/);
    const cart = await shop.cart({ phone: '+212600000001' });
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    assert.equal(fake.asked.findLast(asked => asked.path === '/v1/claims').body.phone, '+212600000001');
});

test('by user name: who has signed in reads the text that binds her account, and nobody else does', async () => {
    policy({ flow: 'username' });
    const cart = await shop.cart({ email: 'fatima@shop.example' });
    assert.match((await cart.methods())['cod-cash'].eligibilityMessage, /sign in to your account/);
    await cart.signUp('fatima@shop.example');
    assert.match((await cart.methods())['cod-cash'].eligibilityMessage, /send SOUK c\d+ 4821 by SMS to 2121/);
});

test('the code is forgotten once the order is placed', async () => {
    const order = await placed();
    await until('the code is gone', async () => (await shop.orderByCode(order.code)).customFields.codCode === null);
});

test('the client cannot write what only administrators decide', async () => {
    const cart = await shop.cart();
    await assert.rejects(cart.session.ask('mutation { setOrderCustomFields(input: {customFields: {codOutcome: "cancelled"}}) { __typename } }'), /codOutcome/);
});

test('a request that was lost on the way is asked again, and takes one slot', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    let lost = 0;
    fake.fault = ({ path }, response) => path === '/v1/claims' && lost++ === 0 && response.destroy();
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    const keys = fake.asked.filter(asked => asked.path === '/v1/claims').map(asked => asked.key);
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
});

for (const [what, fault] of [
    ['does not answer', silent],
    ['breaks off', (_asked, response) => response.destroy() && true],
    ['is broken', (_asked, response) => response.writeHead(503).end('{}') && true],
    ['is somebody else', (_asked, response) => response.writeHead(200).end('<html>') && true],
]) {
    test(`closed: nobody pays on delivery while the service ${what}`, async () => {
        const cart = await shop.cart();
        await cart.enter(CODE);
        fake.fault = fault;
        const { isEligible, eligibilityMessage } = (await cart.methods())['cod-cash'];
        assert.equal(isEligible, false);
        assert.match(eligibilityMessage, /nothing was taken/);
        assert.equal((await cart.pay('cod-cash')).__typename, 'IneligiblePaymentMethodError');
        assert.equal(fake.claims.length, 0);
    });
}

test('closed: an outage between the check and the claim declines the payment', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    fake.fault = ({ path }, response) => path === '/v1/claims' && response.destroy();
    const answer = await cart.pay('cod-cash');
    assert.equal(answer.__typename, 'PaymentDeclinedError');
    assert.match(answer.paymentErrorMessage, /nothing was taken/);
});

test('open: the order goes through while the service is away, and is covered when it is back', async () => {
    policy({ on_outage: 'open' });
    const cart = await shop.cart();
    await cart.enter(CODE);
    await cart.methods(); // the policy said it, and it is remembered
    fake.fault = silent;
    assert.equal((await cart.methods())['cod-advance'].isEligible, false);
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    await noted(cart, /Let through without authorisation/);
    fake.fault = undefined;
    await noted(cart, /maillon is back/);
    assert.equal(fake.claims[0].status, 'open');
    assert.equal((await shop.settle(shop.payment(await shop.orderByCode(cart.code), 'cod-cash'))).state, 'Settled');
    assert.equal(fake.claims[0].status, 'honoured');
});

test('open: who went through without being authorized is found out, and the money can still be taken', async () => {
    policy({ on_outage: 'open' });
    const cart = await shop.cart();
    await cart.enter('WRNG-C0DE');
    await cart.methods();
    fake.fault = silent;
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    fake.fault = undefined;
    await noted(cart, /No deposit and no advance stands behind this order\. No such code/);
    assert.equal((await shop.settle(shop.payment(await shop.orderByCode(cart.code), 'cod-cash'))).state, 'Settled');
    assert.equal(fake.claims.length, 0);
});

test('open: too many requests are no outage', async () => {
    policy({ on_outage: 'open' });
    const cart = await shop.cart();
    await cart.enter(CODE);
    await cart.methods();
    fake.fault = (_asked, response) => response.writeHead(429).end('{"code": "rate_limited"}') && true;
    assert.match((await cart.methods())['cod-cash'].eligibilityMessage, /Too much was asked/);
    fake.fault = (_asked, response) => response.writeHead(429).end('{"code": "too_many_attempts"}') && true;
    assert.match((await cart.methods())['cod-cash'].eligibilityMessage, /Too many wrong codes/);
});

test('a key that is not good closes, and shows the client nothing of it', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    fake.fault = (_asked, response) => response.writeHead(401).end('{"code": "unauthorized"}') && true;
    assert.equal((await cart.methods())['cod-cash'].eligibilityMessage, 'Paying on delivery is not possible. Choose another payment; nothing was taken.');
});

test('the order is confirmed when the service is back', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    let refused = 0;
    fake.fault = ({ path }, response) => path.endsWith('/confirm') && refused++ < 3 && response.writeHead(503).end('{}') && true;
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    assert.equal(fake.claims[0].status, 'reserved');
    await until('the claim is open', () => fake.claims[0].status === 'open');
});

test('a reservation that lapsed before it could be confirmed is taken anew', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    let refused = 0;
    fake.fault = ({ path }, response) => {
        if (!path.endsWith('/confirm') || refused++ >= 2) return false;
        fake.claims[0].status = 'released'; // half an hour passes
        return response.writeHead(503).end('{}');
    };
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    await noted(cart, /maillon is back/);
    assert.deepEqual(fake.claims.map(claim => claim.status), ['released', 'open']);
    assert.equal(shop.payment(await shop.orderByCode(cart.code), 'cod-cash').transactionId, fake.claims.at(-1).id);
});

test('a reservation that lapsed while its answer was lost is taken anew', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    fake.fault = ({ path }, response) => { // all is heard, no answer arrives
        if (path !== '/v1/claims') return false;
        response.end = () => response.destroy();
        return false;
    };
    assert.equal((await cart.pay('cod-cash')).__typename, 'PaymentDeclinedError');
    fake.claims[0].status = 'released'; // half an hour passes
    fake.fault = undefined;
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    assert.deepEqual(fake.claims.map(claim => claim.order_ref), [cart.code, cart.code]);
});

test('a cart that changes after its slot was taken gives it back and takes another', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    fake.claims.push({ id: 'clm_1', order_ref: cart.code, order_total: PRICE, currency: 'MAD', status: 'reserved', advance_amount: 0, cash_due: PRICE });
    await cart.go('AddingItems');
    await cart.setQuantity(2);
    await cart.go('ArrangingPayment');
    assert.equal((await cart.methods())['cod-cash'].isEligible, true);
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    assert.deepEqual(fake.claims.map(claim => [claim.order_total, claim.status === 'released']), [[PRICE, true], [2 * PRICE, false]]);
});

test('an order travels before it is paid, and is honoured when the courier brings the money', async () => {
    const order = await placed();
    await shop.ship(order, 'Shipped', 'Delivered');
    assert.equal((await shop.orderByCode(order.code)).state, 'Delivered');
    assert.equal(fake.claims.at(-1).status, 'open');
    assert.equal((await shop.settle(shop.payment(order, 'cod-cash'))).state, 'Settled');
    assert.equal(fake.claims.at(-1).status, 'honoured');
});

test('what cannot be told leaves the payment as it is, with why, and can be tried again', async () => {
    const order = await placed();
    const cash = shop.payment(order, 'cod-cash');
    fake.fault = silent;
    for (const act of ['settle', 'cancelPayment']) {
        const answer = await shop[act](cash);
        assert.match(answer.paymentErrorMessage, /maillon does not answer; nothing has changed/);
        assert.equal(shop.payment(await shop.orderByCode(order.code), 'cod-cash').state, 'Authorized');
    }
    fake.fault = undefined;
    assert.equal((await shop.settle(cash)).state, 'Settled');
});

test('an order that is settled before it could be confirmed is honoured, and nobody is alarmed', async () => {
    const cart = await shop.cart();
    await cart.enter(CODE);
    fake.fault = ({ path }, response) => path.endsWith('/confirm') && response.writeHead(401).end('{"code": "unauthorized"}') && true;
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    assert.equal((await shop.settle(shop.payment(await shop.orderByCode(cart.code), 'cod-cash'))).state, 'Settled');
    assert.equal(fake.claims[0].status, 'honoured');
    fake.fault = undefined;
    await until('the code is gone', async () => (await shop.orderByCode(cart.code)).customFields.codCode === null);
    assert.deepEqual((await shop.orderByCode(cart.code)).history.items.filter(item => item.type === 'ORDER_NOTE'), []);
});

test('cancelled by the shop: the order is released', async () => {
    const order = await placed();
    assert.equal((await shop.cancelOrder(order)).state, 'Cancelled');
    assert.equal(fake.claims.at(-1).status, 'released');
    assert.equal((await shop.orderByCode(order.code)).payments[0].state, 'Cancelled');
});

test('cancelled because the client withdrew: never counted against her', async () => {
    const order = await placed();
    await shop.note(order, { codOutcome: 'withdrawn' });
    assert.equal((await shop.cancelOrder(order)).state, 'Cancelled');
    assert.equal(fake.claims.at(-1).status, 'withdrawn');
});

test('not honoured needs a reason and evidence; without them nothing is cancelled', async () => {
    const order = await placed();
    await shop.note(order, { codOutcome: 'not_honoured' });
    assert.match((await shop.cancelOrder(order)).transitionError, /needs a reason and at least one piece of evidence/);
    assert.match((await shop.cancelPayment(shop.payment(order, 'cod-cash'))).paymentErrorMessage, /needs a reason/);
    assert.equal(fake.claims.at(-1).status, 'open');
    await shop.note(order, { codReason: 'refused at the door', codEvidence: 'courier 8812 returned\n\ncourier 8812 first attempt\n' });
    assert.equal((await shop.cancelPayment(shop.payment(order, 'cod-cash'))).state, 'Cancelled');
    const { status, reason, evidence } = fake.claims.at(-1);
    assert.deepEqual({ status, reason, evidence }, {
        status: 'not_honoured', reason: 'refused at the door', evidence: ['courier 8812 returned', 'courier 8812 first attempt'],
    });
});

test('one outcome: what was not honoured cannot be settled, and says so', async () => {
    const order = await placed();
    fake.claims.at(-1).status = 'forfeited';
    assert.match((await shop.settle(shop.payment(order, 'cod-cash'))).paymentErrorMessage, /"forfeited" already/);
});

test('money of an order that maillon had let go is settled, and the administrator reads that it does not count', async () => {
    const order = await placed();
    fake.claims.at(-1).status = 'released';
    assert.equal((await shop.settle(shop.payment(order, 'cod-cash'))).state, 'Settled');
    assert.ok((await shop.orderByCode(order.code)).history.items.some(item => /Paid to the courier, but.*"released"/.test(item.data.note)));
});

test('an advance that is all of the order is honoured when it is delivered', async () => {
    policy({ advance_per_order: PRICE });
    const cart = await shop.cart();
    await cart.enter(CODE);
    assert.equal((await cart.pay('cod-advance')).state, 'PaymentSettled');
    await until('the claim is open', () => fake.claims[0].status === 'open');
    await shop.ship(await shop.orderByCode(cart.code), 'Shipped', 'Delivered');
    await until('the claim is honoured', () => fake.claims[0].status === 'honoured');
});

test('cancelled with an advance and no cash yet: released, and the slot is free', async () => {
    policy({ advance_per_order: 500 });
    const cart = await shop.cart();
    await cart.enter(CODE);
    assert.equal((await cart.pay('cod-advance')).state, 'ArrangingPayment');
    assert.equal((await cart.methods())['cod-advance'].isEligible, false); // once is enough
    await cart.session.ask('mutation { transitionOrderToState(state: "Cancelled") { __typename } }');
    assert.equal(fake.claims[0].status, 'released');
});

for (const [outcome, refund] of [['cancelled', 'Settled'], ['withdrawn', 'Pending']]) {
    test(`the advance of an order that was ${outcome} is refunded as maillon did: ${refund}`, async () => {
        policy({ advance_per_order: 500 });
        const cart = await shop.cart();
        await cart.enter(CODE);
        await cart.pay('cod-advance');
        assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
        const order = await shop.orderByCode(cart.code);
        await shop.note(order, { codOutcome: outcome });
        assert.equal((await shop.cancelOrder(order)).state, 'Cancelled');
        assert.equal((await shop.refund(shop.payment(order, 'cod-advance'))).state, refund);
    });
}

test('the remainder is not offered before the advance, nor taken', async () => {
    policy({ advance_per_order: 500 });
    const cart = await shop.cart();
    await cart.enter(CODE);
    const methods = await cart.methods();
    assert.equal(methods['cod-advance'].isEligible, true);
    assert.match(methods['cod-cash'].eligibilityMessage, /First pay the advance of .*5\.00/);
    assert.equal((await cart.pay('cod-cash')).__typename, 'IneligiblePaymentMethodError');
    assert.equal(fake.claims.length, 0);
});
