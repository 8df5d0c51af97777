'use strict';

// The block checkout's side, as WooCommerce runs it: registered once, it sends
// what was typed, and nothing while nothing was.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');
const { runInNewContext } = require('node:vm');

const source = readFileSync(join(__dirname, '..', 'assets', 'blocks.js'), 'utf8');

/** Draws the method with this typed; returns its elements, and what is sent with the order. */
function draw(data, typed) {
    let method, setup;
    const createElement = (type, props, ...children) => (typeof type === 'function' ? type(props ?? {}) : { type, props, children });
    const window = {
        wp: { element: { createElement: (type, props, ...children) => ({ type, props, children }), useState: () => [typed, () => {}], useEffect: run => run() } },
        wc: {
            wcSettings: { getSetting: name => (name === 'maillon_cod_data' ? data : {}) },
            wcBlocksRegistry: { registerPaymentMethod: given => { method = given; } },
        },
    };
    runInNewContext(source, { window });
    const shown = createElement(method.content.type, {
        eventRegistration: { onPaymentSetup: call => { setup = call; } },
        emitResponse: { responseTypes: { ERROR: 'error', SUCCESS: 'success' } },
    });
    return { method, shown: JSON.stringify(shown), sent: JSON.parse(JSON.stringify(setup())) };
}

const code = { title: 'Cash on delivery', flow: 'code', text: 'Send SOUK', label: 'Code', missing: 'Enter the code' };

test('what was typed goes with the order', () => {
    const { method, shown, sent } = draw(code, 'SVRD-PV5K');
    assert.equal(method.name, 'maillon_cod');
    assert.equal(method.canMakePayment(), true);
    assert.match(shown, /Send SOUK.*"htmlFor":"maillon-code".*"id":"maillon-code"/);
    assert.deepEqual(sent, { type: 'success', meta: { paymentMethodData: { maillon_code: 'SVRD-PV5K' } } });
});

test('without a code nothing is sent, and she reads why', () => {
    assert.deepEqual(draw(code, ' ').sent, { type: 'error', message: 'Enter the code' });
});

test('by telephone or account there is no field', () => {
    const { shown, sent } = draw({ ...code, flow: 'phone' }, '');
    assert.doesNotMatch(shown, /maillon-code/);
    assert.equal(sent.type, 'success');
});
