'use strict';

// The whole of it, in the order in which it happens: a real shop in Vendure, a real
// maillon, and clients who send SMS. Each test goes on where the last one ended.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { openServer } = require('./server');
const { openShop, until, PRICE } = require('./shop');

const FATIMA = '+212600000001';
const HASSAN = '+212600000002';
const LEILA = '+212600000003';
const NADIA = '+212600000004';
const AMINA = '+212600000005';
const KARIM = '+212600000006';
const OMAR = '+212600000007';
const SALMA = '+212600000008';
const ZINEB = '+212600000009';

let server, shop, code, deposit;

before(async () => {
    server = await openServer();
    deposit = await server.policy({ keyword: 'SOUK', kind: 'deposit', messages_required: 2, deposit: 2000, max_orders: 2 });
    shop = await openShop({ url: server.url, key: server.shopKey, policy: deposit.id, timeout: 30_000, confirmEvery: 500 });
});
after(async () => {
    await shop?.close();
    await server?.close();
});

/** A client sends her two SMS and reads her code. */
async function authorize(phone) {
    await server.sms(phone, 'SOUK', `${phone}.1`);
    return codeIn(await server.sms(phone, 'SOUK', `${phone}.2`));
}

function codeIn(reply) {
    const [found] = reply.match(/\b[A-Z0-9]{4}-[A-Z0-9]{4}\b/) ?? [];
    assert.ok(found, `no code in: ${reply}`);
    return found;
}

async function cash(cart) {
    return (await cart.methods())['cod-cash'];
}

/** What a new cart reads with this code. */
async function refusedTo(code) {
    const cart = await shop.cart();
    await cart.enter(code);
    return (await cash(cart)).eligibilityMessage;
}

/** An order that a client has placed with her code. */
async function order(code) {
    const cart = await shop.cart();
    await cart.enter(code);
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    await until('the claim is open', async () => (await server.claimOf(cart.code)).status === 'open');
    return shop.orderByCode(cart.code);
}

test('without authorization, cash on delivery is hidden, and the client reads what to send', async () => {
    const { isEligible, eligibilityMessage } = await cash(await shop.cart({ language: 'fr' }));
    assert.equal(isEligible, false);
    assert.match(eligibilityMessage, /envoyez 2 fois par SMS SOUK au 2121/);
});

test('who tries to force it is refused by the server', async () => {
    const cart = await shop.cart();
    assert.equal((await cart.pay('cod-cash')).__typename, 'IneligiblePaymentMethodError');
    assert.equal((await cart.pay('cod-advance')).__typename, 'IneligiblePaymentMethodError');
    assert.equal(await server.claimOf(cart.code), undefined);
});

test('a wrong code opens nothing, and after five of them the right one neither', async () => {
    const cart = await shop.cart();
    await cart.enter('BCDF-GHJK');
    assert.match((await cash(cart)).eligibilityMessage, /^No such code/);
    for (let n = 0; n < 5; n++) await cart.pay('cod-cash');
    assert.match((await cash(cart)).eligibilityMessage, /^Too many wrong codes/);
});

test('the first SMS is not enough, the second brings the code', async () => {
    assert.match(await server.sms(FATIMA, 'SOUK', 'f1'), /1.*2/);
    code = codeIn(await server.sms(FATIMA, 'souk', 'f2'));
});

test('an SMS that the gateway brings again is answered the same, and counts once', async () => {
    assert.equal(codeIn(await server.sms(FATIMA, 'souk', 'f2')), code);
    const { data } = await server.ask('POST', '/v1/authorizations/search', { phone: FATIMA });
    assert.deepEqual(data.map(one => [one.status, one.messages_received, one.deposit_held]), [['active', 2, 2000]]);
});

test('with her code the client orders, however she writes it', async () => {
    const cart = await shop.cart();
    await cart.enter(code.toLowerCase().replace('-', ' '));
    assert.equal((await cash(cart)).isEligible, true);
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    const claim = await until('the claim is open', async () => {
        const found = await server.claimOf(cart.code);
        return found.status === 'open' && found;
    });
    assert.deepEqual([claim.order_total, claim.currency, claim.cash_due], [PRICE, 'MAD', PRICE]);
});

test('of two carts that see the last slot, one becomes an order', async () => {
    const carts = [await shop.cart(), await shop.cart()];
    for (const cart of carts) {
        await cart.enter(code);
        assert.equal((await cash(cart)).isEligible, true);
    }
    const answers = await Promise.all(carts.map(cart => cart.pay('cod-cash')));
    assert.equal(answers.filter(answer => answer.state === 'PaymentAuthorized').length, 1, JSON.stringify(answers));
    const refused = answers.find(answer => answer.state !== 'PaymentAuthorized');
    assert.match(refused.paymentErrorMessage ?? refused.eligibilityCheckerMessage, /All the orders that are allowed were made/);
});

test('paid to the courier: the order is honoured, and nothing is lost', async () => {
    const placed = await order(await authorize(HASSAN));
    await shop.ship(placed, 'Shipped', 'Delivered');
    assert.equal((await shop.settle(shop.payment(placed, 'cod-cash'))).state, 'Settled');
    const claim = await server.claimOf(placed.code);
    assert.equal(claim.status, 'honoured');
    const authorization = await server.ask('GET', `/v1/authorizations/${claim.authorization}`);
    assert.deepEqual([authorization.status, authorization.deposit_held], ['active', 2000]);
});

test('cancelled by the shop: the client loses nothing', async () => {
    const placed = await order(await authorize(AMINA));
    const { id } = await server.claimOf(placed.code);
    assert.equal((await shop.cancelOrder(placed)).state, 'Cancelled');
    const claim = await server.ask('GET', `/v1/claims/${id}`);
    assert.equal(claim.status, 'released');
    const authorization = await server.ask('GET', `/v1/authorizations/${claim.authorization}`);
    assert.deepEqual([authorization.status, authorization.deposit_held, authorization.open_orders], ['active', 2000, 0]);
});

test('a cart that changes after its advance was paid keeps one slot, with the new total', async () => {
    const policy = await server.policy({ keyword: 'LES2', kind: 'both', messages_required: 2, advance_per_order: 500, deposit: 1000, max_orders: 1 });
    shop.choose(policy.id);
    await server.sms(KARIM, 'LES2', 'k1');
    const cart = await shop.cart();
    await cart.enter(codeIn(await server.sms(KARIM, 'LES2', 'k2')));
    assert.equal((await cart.pay('cod-advance')).state, 'ArrangingPayment');
    await cart.go('AddingItems');
    await cart.setQuantity(2);
    await cart.go('ArrangingPayment');
    assert.equal((await cash(cart)).isEligible, true);
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    const claim = await until('the claim is open', async () => {
        const found = await server.claimOf(cart.code);
        return found.status === 'open' && found;
    });
    assert.deepEqual([claim.order_total, claim.advance_amount, claim.cash_due], [2 * PRICE, 500, 2 * PRICE - 500]);
    const { orders_used: used } = await server.ask('GET', `/v1/authorizations/${claim.authorization}`);
    assert.equal(used, 1);
    shop.choose(deposit.id);
});

test('a reservation that nobody confirms is free again after half an hour', async () => {
    const policy = await server.policy({ keyword: 'UNE', kind: 'both', messages_required: 2, advance_per_order: 500, deposit: 1000, max_orders: 1 });
    shop.choose(policy.id);
    await server.sms(OMAR, 'UNE', 'o1');
    const code = codeIn(await server.sms(OMAR, 'UNE', 'o2'));
    const left = await shop.cart();
    await left.enter(code);
    assert.equal((await left.pay('cod-advance')).state, 'ArrangingPayment'); // and she goes away
    assert.match(await refusedTo(code), /All the orders that are allowed were made/);
    await server.wait(1);
    const back = await shop.cart();
    await back.enter(code);
    assert.equal((await back.methods())['cod-advance'].isEligible, true);
    // The first cart is still there: it can be finished as well, as long as there is a slot.
    assert.equal((await left.pay('cod-cash')).state, 'PaymentAuthorized');
    assert.equal((await back.pay('cod-advance')).__typename, 'IneligiblePaymentMethodError');
    shop.choose(deposit.id);
});

test('not taken: after the time to dispute the deposit is lost, and the code dead', async () => {
    const hers = await authorize(LEILA);
    const placed = await order(hers);
    await shop.note(placed, { codOutcome: 'not_honoured', codReason: 'refused at the door', codEvidence: 'courier 8812 returned' });
    assert.equal((await shop.cancelOrder(placed)).state, 'Cancelled');
    let claim = await server.claimOf(placed.code);
    assert.deepEqual([claim.status, claim.deposit_at_risk, claim.reason, claim.evidence], ['not_honoured', 2000, 'refused at the door', ['courier 8812 returned']]);
    await server.wait(71);
    assert.equal((await server.claimOf(placed.code)).status, 'not_honoured');
    await server.wait(2);
    claim = await server.claimOf(placed.code);
    assert.equal(claim.status, 'forfeited');
    const authorization = await server.ask('GET', `/v1/authorizations/${claim.authorization}`);
    assert.deepEqual([authorization.status, authorization.deposit_state, authorization.deposit_held], ['forfeited', 'forfeited', 0]);
    assert.match(await refusedTo(hers), /An order was not honoured/);
});

test('by telephone, with an advance: two payments for one order, and the next one needs another SMS', async () => {
    const policy = await server.policy({ keyword: 'AVANCE', kind: 'advance', flow: 'phone', advance_per_order: 1000, max_open_orders: 5 });
    shop.choose(policy.id);
    await server.sms(NADIA, 'AVANCE', 'n1');
    const cart = await shop.cart({ phone: NADIA });
    const methods = await cart.methods();
    assert.equal(methods['cod-advance'].isEligible, true);
    assert.match(methods['cod-cash'].eligibilityMessage, /First pay the advance of .*10\.00/);
    assert.equal((await cart.pay('cod-advance')).state, 'ArrangingPayment');
    assert.equal((await cash(cart)).isEligible, true); // the same order: its remainder is no second one
    const placed = await cart.pay('cod-cash');
    assert.equal(placed.state, 'PaymentAuthorized');
    assert.deepEqual(placed.payments.map(payment => [payment.method, payment.amount, payment.state]), [
        ['cod-advance', 1000, 'Settled'], ['cod-cash', PRICE - 1000, 'Authorized'],
    ]);
    const next = await shop.cart({ phone: NADIA });
    assert.match((await next.methods())['cod-advance'].eligibilityMessage, /The advance is spent\..*send AVANCE by SMS to 2121 \(.*10\.00/);
    await server.sms(NADIA, 'AVANCE', 'n2');
    assert.equal((await next.methods())['cod-advance'].isEligible, true);

    await until('the claim is open', async () => (await server.claimOf(cart.code)).status === 'open');
    const order = await shop.orderByCode(cart.code);
    assert.equal((await shop.settle(shop.payment(order, 'cod-cash'))).state, 'Settled');
    const claim = await server.claimOf(cart.code);
    assert.deepEqual([claim.status, claim.advance_amount, claim.cash_due], ['honoured', 1000, PRICE - 1000]);
    assert.equal((await shop.orderByCode(cart.code)).state, 'PaymentSettled');
    shop.choose(deposit.id);
});

test('by user name: the account shows what to send, and whoever has signed in orders', async () => {
    const policy = await server.policy({ keyword: 'COMPTE', kind: 'deposit', flow: 'username', deposit: 1000, max_orders: 1 });
    shop.choose(policy.id);
    const cart = await shop.cart({ email: 'zineb@shop.example' });
    await cart.signUp('zineb@shop.example');
    const [text] = (await cash(cart)).eligibilityMessage.match(/COMPTE c\d+ \d{4}/);
    await server.sms(ZINEB, text.replace(/\d{4}$/, '0000'), 'z1'); // a stranger, who does not see the account
    assert.equal((await cash(cart)).isEligible, false);
    await server.sms(ZINEB, text, 'z2');
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
    shop.choose(deposit.id);
});

test('the books: the merchant has earned what was lost and what was honoured, and all sums to zero', async () => {
    const { data } = await server.ask('GET', '/v1/ledger/accounts');
    assert.equal(data.find(account => account.name.includes('payable')).balance, 2000 + 1000);
    await server.command('verify');
});

test('while maillon is stopped nobody pays on delivery; started again, all is as it was', async () => {
    const mine = await authorize(SALMA);
    const cart = await shop.cart();
    await cart.enter(mine);
    await server.stop();
    assert.match((await cash(cart)).eligibilityMessage, /not possible at the moment/);
    assert.equal((await cart.pay('cod-cash')).__typename, 'IneligiblePaymentMethodError');
    await server.start();
    assert.equal((await cart.pay('cod-cash')).state, 'PaymentAuthorized');
});
