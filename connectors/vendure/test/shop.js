'use strict';

// A small real shop: Vendure with a database in memory, one product, two ways of
// delivery, and cash on delivery by the connector.

process.env.VENDURE_DISABLE_TELEMETRY = 'true';
globalThis.crypto ??= require('node:crypto').webcrypto; // Vendure is for Node 20 and later; Debian 12 has 18

const assert = require('node:assert/strict');
const { mkdtempSync } = require('node:fs');
const { createServer } = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { bootstrap, JobQueueService, LogLevel, DefaultLogger, mergeConfig, defaultConfig } = require('@vendure/core');
const { MaillonPlugin } = require('..');

const PASSWORD = 'superadmin-of-the-test';
const PRICE = 20000; // of the product, in centimes

/** Starts a shop whose connector has these options. */
async function openShop(options) {
    const port = await freePort();
    const config = mergeConfig(defaultConfig, {
        apiOptions: { port, hostname: '127.0.0.1', shopApiPath: 'shop-api', adminApiPath: 'admin-api', introspection: false },
        authOptions: {
            tokenMethod: ['bearer'], requireVerification: false,
            superadminCredentials: { identifier: 'superadmin', password: PASSWORD },
        },
        dbConnectionOptions: { type: 'sqljs', synchronize: true, autoSave: false, logging: false },
        importExportOptions: { importAssetsDir: mkdtempSync(join(tmpdir(), 'vendure-')) },
        logger: new DefaultLogger({ level: process.env.VERBOSE ? LogLevel.Debug : LogLevel.Error }),
        plugins: [MaillonPlugin.init(options)],
    });
    const app = await bootstrap(config);
    await app.get(JobQueueService).start();
    const shop = new Shop(app, `http://127.0.0.1:${port}`);
    await shop.furnish();
    return shop;
}

class Shop {
    constructor(app, url) {
        this.app = app;
        this.url = url;
    }

    /** One request of an administrator. */
    async admin(query, variables) {
        this.desk ??= new Session(`${this.url}/admin-api`);
        return this.desk.ask(query, variables);
    }

    async furnish() {
        await this.admin('mutation($p: String!) { login(username: "superadmin", password: $p) { __typename } }', { p: PASSWORD });
        const { createCountry: country } = await this.admin(`mutation { createCountry(input: {code: "MA", enabled: true,
            translations: [{languageCode: en, name: "Morocco"}]}) { id } }`);
        const { createZone: zone } = await this.admin('mutation($c: ID!) { createZone(input: {name: "Morocco", memberIds: [$c]}) { id } }', { c: country.id });
        const { createTaxCategory: tax } = await this.admin('mutation { createTaxCategory(input: {name: "Standard", isDefault: true}) { id } }');
        await this.admin(`mutation($z: ID!, $t: ID!) { createTaxRate(input: {name: "none", enabled: true, value: 0, categoryId: $t, zoneId: $z}) { id } }`,
            { z: zone.id, t: tax.id });
        const { activeChannel: channel } = await this.admin('{ activeChannel { id } }');
        await this.admin(`mutation($id: ID!, $z: ID!) { updateChannel(input: {id: $id, defaultTaxZoneId: $z, defaultShippingZoneId: $z,
            availableLanguageCodes: [en, fr], availableCurrencyCodes: [MAD], defaultCurrencyCode: MAD, pricesIncludeTax: true}) { __typename } }`, { id: channel.id, z: zone.id });
        await this.admin('mutation { updateGlobalSettings(input: {availableLanguages: [en, fr]}) { __typename } }');
        for (const code of ['home', 'collect']) {
            await this.admin(`mutation($code: String!) { createShippingMethod(input: {code: $code, fulfillmentHandler: "manual-fulfillment",
                checker: {code: "default-shipping-eligibility-checker", arguments: [{name: "orderMinimum", value: "0"}]},
                calculator: {code: "default-shipping-calculator", arguments: [{name: "rate", value: "0"}, {name: "taxRate", value: "0"}, {name: "includesTax", value: "auto"}]},
                translations: [{languageCode: en, name: $code, description: ""}]}) { id } }`, { code });
        }
        for (const code of ['cod-advance', 'cod-cash']) {
            await this.admin(`mutation($code: String!) { createPaymentMethod(input: {code: $code, enabled: true,
                checker: {code: "maillon", arguments: []}, handler: {code: $code, arguments: []},
                translations: [{languageCode: en, name: $code, description: ""}]}) { id } }`, { code });
        }
        const { createProduct: product } = await this.admin(`mutation { createProduct(input: {enabled: true,
            translations: [{languageCode: en, name: "Tajine", slug: "tajine", description: ""}]}) { id } }`);
        const { createProductVariants: [variant] } = await this.admin(`mutation($p: ID!, $price: Money!) { createProductVariants(input: [{productId: $p, sku: "T1", price: $price,
            trackInventory: FALSE, translations: [{languageCode: en, name: "Tajine"}]}]) { id } }`, { p: product.id, price: PRICE });
        this.variant = variant.id;
    }

    /** A client with a cart that waits for its payment. */
    async cart({ phone, email, delivery = 'home', language = 'en', quantity = 1 } = {}) {
        const cart = new Cart(new Session(`${this.url}/shop-api?languageCode=${language}`), this);
        await cart.fill({ phone, email, delivery, quantity });
        return cart;
    }

    /** An order as administrators see it. */
    async orderByCode(code) {
        const { orders } = await this.admin(`query($code: String!) { orders(options: {filter: {code: {eq: $code}}}) { items {
            id code state totalWithTax lines { id quantity } customFields { codCode codOutcome codReason codEvidence }
            payments { id method amount state transactionId errorMessage metadata }
            history { items { type data } } } } }`, { code });
        return orders.items[0];
    }

    payment(order, method) {
        return order.payments.find(payment => payment.method === method && ['Authorized', 'Settled'].includes(payment.state));
    }

    settle(payment) {
        return this.admin(`mutation($id: ID!) { settlePayment(id: $id) { __typename ... on Payment { state }
            ... on ErrorResult { message } ... on SettlePaymentError { paymentErrorMessage } } }`, { id: payment.id }).then(data => data.settlePayment);
    }

    cancelPayment(payment) {
        return this.admin(`mutation($id: ID!) { cancelPayment(id: $id) { __typename ... on Payment { state }
            ... on ErrorResult { message } ... on CancelPaymentError { paymentErrorMessage } } }`, { id: payment.id }).then(data => data.cancelPayment);
    }

    cancelOrder(order) {
        return this.admin(`mutation($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename ... on Order { state }
            ... on ErrorResult { message } ... on OrderStateTransitionError { transitionError } } }`, { id: order.id }).then(data => data.cancelOrder);
    }

    refund(payment) {
        return this.admin(`mutation($id: ID!, $n: Money!) { refundOrder(input: {paymentId: $id, amount: $n, shipping: 0, adjustment: 0, lines: []}) { __typename ... on Refund { state }
            ... on ErrorResult { message } } }`, { id: payment.id, n: payment.amount }).then(data => data.refundOrder);
    }

    note(order, fields) {
        return this.admin('mutation($id: ID!, $f: UpdateOrderCustomFieldsInput) { setOrderCustomFields(input: {id: $id, customFields: $f}) { id } }',
            { id: order.id, f: fields });
    }

    /** Packs the order and sends it off, or says that it arrived. */
    async ship(order, ...states) {
        const { addFulfillmentToOrder: made } = await this.admin(`mutation($lines: [OrderLineInput!]!) { addFulfillmentToOrder(input: {lines: $lines,
            handler: {code: "manual-fulfillment", arguments: [{name: "method", value: "courier"}, {name: "trackingCode", value: "8812"}]}}) {
            __typename ... on Fulfillment { id } ... on ErrorResult { message } } }`,
        { lines: order.lines.map(line => ({ orderLineId: line.id, quantity: line.quantity })) });
        assert.equal(made.__typename, 'Fulfillment', made.message);
        for (const state of states) {
            const { transitionFulfillmentToState: moved } = await this.admin(`mutation($id: ID!, $state: String!) { transitionFulfillmentToState(id: $id, state: $state) {
                __typename ... on ErrorResult { message } ... on FulfillmentStateTransitionError { transitionError } } }`, { id: made.id, state });
            assert.equal(moved.__typename, 'Fulfillment', moved.transitionError);
        }
    }

    /** Goes by another policy from now on. */
    choose(policy) {
        MaillonPlugin.shop.gate.policy = policy;
        this.forget();
    }

    /** How long the connector waits for an answer from now on, in milliseconds. */
    patience(timeout) {
        MaillonPlugin.shop.gate.api.timeout = timeout;
    }

    /** Reads the policy again when it is needed next. */
    forget() {
        MaillonPlugin.shop.gate.readAt = 0;
    }

    close() {
        return this.app.close();
    }
}

/** One shopper, whose session is hers. */
class Cart {
    constructor(session, shop) {
        this.session = session;
        this.shop = shop;
    }

    async fill({ phone, email, delivery, quantity }) {
        const { session } = this;
        const { addItemToOrder: order } = await session.ask(`mutation($v: ID!, $n: Int!) { addItemToOrder(productVariantId: $v, quantity: $n) {
            __typename ... on Order { code } ... on ErrorResult { message } } }`, { v: this.shop.variant, n: quantity });
        assert.equal(order.__typename, 'Order', order.message);
        this.code = order.code;
        await session.ask(`mutation($email: String!, $phone: String) { setCustomerForOrder(input: {firstName: "F", lastName: "A", emailAddress: $email, phoneNumber: $phone}) {
            __typename } }`, { email: email ?? `${order.code.toLowerCase()}@shop.example`, phone });
        await session.ask('mutation { setOrderShippingAddress(input: {streetLine1: "1 rue", city: "Fes", countryCode: "MA"}) { __typename } }');
        const { eligibleShippingMethods: ways } = await session.ask('{ eligibleShippingMethods { id code } }');
        await session.ask('mutation($id: [ID!]!) { setOrderShippingMethod(shippingMethodId: $id) { __typename } }', { id: [ways.find(way => way.code === delivery).id] });
        await this.go('ArrangingPayment');
    }

    /** Makes an account of her own, and signs in. */
    async signUp(email) {
        await this.session.ask('mutation($e: String!) { registerCustomerAccount(input: {emailAddress: $e, password: "a password"}) { __typename } }', { e: email });
        const { login } = await this.session.ask('mutation($e: String!) { login(username: $e, password: "a password") { __typename } }', { e: email });
        assert.equal(login.__typename, 'CurrentUser');
    }

    async go(state) {
        const { transitionOrderToState: moved } = await this.session.ask(`mutation($s: String!) { transitionOrderToState(state: $s) {
            __typename ... on ErrorResult { message } ... on OrderStateTransitionError { transitionError } } }`, { s: state });
        assert.equal(moved.__typename, 'Order', moved.transitionError);
    }

    async setQuantity(quantity) {
        const { activeOrder } = await this.session.ask('{ activeOrder { lines { id } } }');
        await this.session.ask('mutation($id: ID!, $n: Int!) { adjustOrderLine(orderLineId: $id, quantity: $n) { __typename } }', { id: activeOrder.lines[0].id, n: quantity });
    }

    enter(code) {
        return this.session.ask('mutation($c: String) { setOrderCustomFields(input: {customFields: {codCode: $c}}) { __typename } }', { c: code });
    }

    /** The two methods as the client sees them: {'cod-cash': {isEligible, eligibilityMessage}, …}. */
    async methods() {
        const { eligiblePaymentMethods } = await this.session.ask('{ eligiblePaymentMethods { code isEligible eligibilityMessage } }');
        return Object.fromEntries(eligiblePaymentMethods.map(method => [method.code, method]));
    }

    async pay(method) {
        const { addPaymentToOrder } = await this.session.ask(`mutation($m: String!) { addPaymentToOrder(input: {method: $m, metadata: {}}) {
            __typename ... on Order { state code payments { method amount state } } ... on ErrorResult { errorCode message }
            ... on IneligiblePaymentMethodError { eligibilityCheckerMessage } ... on PaymentDeclinedError { paymentErrorMessage } } }`, { m: method });
        return addPaymentToOrder;
    }
}

/** Who asks, by a token that the first answer gives. */
class Session {
    constructor(url) {
        this.url = url;
    }

    async ask(query, variables) {
        const headers = { 'content-type': 'application/json' };
        if (this.token) headers.authorization = `Bearer ${this.token}`;
        const response = await fetch(this.url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
        this.token = response.headers.get('vendure-auth-token') ?? this.token;
        const { data, errors } = await response.json();
        if (errors) throw new Error(errors.map(error => error.message).join('; '));
        return data;
    }
}

/** Asks again and again, for a minute, until it is so. */
async function until(what, condition) {
    for (let n = 0; n < 300; n++) {
        const found = await condition();
        if (found) return found;
        await new Promise(resolve => setTimeout(resolve, 200));
    }
    return assert.fail(`in vain: ${what}`);
}

function freePort() {
    return new Promise((resolve, reject) => {
        const server = createServer().on('error', reject).listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

module.exports = { openShop, until, freePort, PRICE };
