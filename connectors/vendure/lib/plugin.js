'use strict';

const { setTimeout: wait } = require('node:timers/promises');
const {
    EventBus, HistoryService, JobQueueService, LanguageCode, Logger, Order, OrderPlacedEvent, OrderService,
    OrderStateTransitionEvent, Payment, PluginCommonModule, RequestContextService, TransactionalConnection, VendurePlugin,
    isGraphQlErrorResult,
} = require('@vendure/core');
const { HistoryEntryType } = require('@vendure/common/lib/generated-types');
const { Gate, NotNow } = require('./gate');
const { Problem } = require('./api');
const { Desk, checker, advanceHandler, cashHandler } = require('./payments');
const { words } = require('./words');

const LOG = 'maillon';
const QUEUE = 'maillon';

/** A reservation lasts half an hour: for that long it is tried to confirm it. */
const CONFIRM_EVERY = 20_000; // ms
const CONFIRM_TRIES = 90;

const CLAIM = /^clm_[1-9][0-9]*$/;

/** Answers that asking again does not change: no such claim, or it has its outcome. */
const FOR_GOOD = [404, 409];

/** States of payments that count. */
const LIVE = ['Authorized', 'Settled'];

const label = (en, fr) => [{ languageCode: LanguageCode.en, value: en }, { languageCode: LanguageCode.fr, value: fr }];

/** What an order remembers. The client writes the code; the rest is for administrators. */
const orderFields = [
    { name: 'codCode', type: 'string', length: 32, nullable: true, public: true, label: label('Code for cash on delivery', 'Code de paiement à la livraison') },
    {
        name: 'codOutcome', type: 'string', nullable: true, public: false,
        label: label('If it is cancelled: why', 'Si elle est annulée : pourquoi'),
        options: [
            { value: 'cancelled', label: label('The shop cancels it', 'La boutique l\'annule') },
            { value: 'not_honoured', label: label('The client did not take or pay it', 'Le client ne l\'a pas prise ou pas payée') },
            { value: 'withdrawn', label: label('The client withdrew, as the law allows', 'Le client s\'est rétracté, comme la loi le permet') },
        ],
    },
    { name: 'codReason', type: 'string', length: 200, nullable: true, public: false, label: label('Reason, without names', 'Raison, sans aucun nom') },
    { name: 'codEvidence', type: 'text', nullable: true, public: false, label: label('Evidence, one a line, without names', 'Preuves, une par ligne, sans aucun nom') },
];

/** The connector of one shop: the gate, and what of Vendure it needs. */
class Shop extends Desk {
    constructor(options) {
        super();
        const { confirmEvery = CONFIRM_EVERY, ...gate } = options;
        this.confirmEvery = confirmEvery;
        this.gate = new Gate({ ...gate, logger: { warn: text => Logger.warn(text, LOG), error: text => Logger.error(text, LOG) } });
    }

    /** Called once, when Vendure has its services. */
    async start(services) {
        Object.assign(this, services);
        this.queue = await this.jobs.createQueue({ name: QUEUE, process: job => this.work(job) });
        this.events.ofType(OrderPlacedEvent).subscribe(event => this.later('placed', event.order));
        this.events.ofType(OrderStateTransitionEvent).subscribe(event => {
            if (event.toState === 'Delivered') this.later('delivered', event.order);
        });
    }

    /** The order with all that is asked about it, as it is on disk. */
    order(ctx, { id }) {
        return this.connection.getEntityOrThrow(ctx, Order, id, {
            relations: ['customer', 'customer.user', 'payments', 'shippingLines', 'shippingLines.shippingMethod'],
        });
    }

    async note(ctx, order, note) {
        await this.history.createHistoryEntryForOrder({ ctx, orderId: order.id, type: HistoryEntryType.ORDER_NOTE, data: { note } }, false);
    }

    /** Puts what is to be said to maillon where it is not forgotten. */
    later(what, order) {
        this.queue.add({ what, order: order.id }, { retries: CONFIRM_TRIES }).catch(() => {
            Logger.error(`order ${order.code}: what happened to it could not be queued for maillon`, LOG);
        });
    }

    async work({ data }) {
        const ctx = await this.contexts.create({ apiType: 'admin' });
        const order = await this.order(ctx, { id: data.order });
        const payments = order.payments.filter(payment => LIVE.includes(payment.state) && ours(payment));
        if (payments.length === 0) return; // paid in another way, or cancelled since
        const waits = payments.some(payment => payment.state === 'Authorized');
        const id = claimOf(payments);
        if (data.what === 'delivered') {
            if (id && !waits) await this.say(id, 'honour'); // the advance was all of it
            return;
        }
        const refused = id && await this.say(id, 'confirm');
        if (!id ? waits : refused?.state === 'released') await this.cover(ctx, order, payments);
        else if (refused && !refused.state) await this.note(ctx, order, words(ctx).uncovered(words(ctx).refused(refused.code)));
        // The code opened what it had to open.
        if (order.customFields.codCode) await this.orders.updateCustomFields(ctx, order.id, { codCode: null });
    }

    /** Lets an order through that is placed already: in an outage, or its reservation lapsed in one. */
    async cover(ctx, order, payments) {
        let claim;
        try {
            claim = await this.gate.take(ctx, order);
        } catch (error) {
            if (error instanceof NotNow) return this.note(ctx, order, words(ctx).uncovered(error.message));
            throw await this.afterAWhile(error);
        }
        for (const { id } of payments) await this.connection.getRepository(ctx, Payment).update(id, { transactionId: claim.id });
        await this.say(claim.id, 'confirm');
        return this.note(ctx, order, words(ctx).covered);
    }

    /**
     * Says it, and returns the Problem if it is refused for good. Anything else, such as an
     * outage or a key that is no longer good, is thrown after a while, so that it is tried again.
     */
    async say(id, act) {
        try {
            await this.gate.end(id, act);
        } catch (error) {
            if (error instanceof Problem && FOR_GOOD.includes(error.status)) {
                Logger.warn(`${error.message}: ${act} of ${id}`, LOG);
                return error;
            }
            throw await this.afterAWhile(error);
        }
    }

    /** What makes the queue try again, not at once. */
    async afterAWhile(error) {
        await wait(this.confirmEvery, undefined, { ref: false });
        return error;
    }

    /** An order that is cancelled has its outcome first; if maillon cannot be told, it is not cancelled. */
    async cancel(ctx, order) {
        const own = await this.order(ctx, order);
        const cash = own.payments.find(payment => payment.state === 'Authorized' && ours(payment));
        if (cash) {
            const result = await this.orders.cancelPayment(ctx, cash.id);
            return isGraphQlErrorResult(result) ? result.paymentErrorMessage ?? result.transitionError : undefined;
        }
        const advance = own.payments.find(payment => payment.state === 'Settled' && CLAIM.test(payment.transactionId));
        // What was settled by the courier has its outcome already.
        if (!advance || own.payments.some(payment => payment !== advance && payment.state === 'Settled' && ours(payment))) return undefined;
        const { success, errorMessage } = await this.cancelling(ctx, own, advance);
        return success ? undefined : errorMessage;
    }
}

function ours(payment) {
    return CLAIM.test(payment.transactionId ?? '') || payment.metadata?.outage === true;
}

/** The claim that the payments stand on. */
function claimOf(payments) {
    return payments.map(payment => payment.transactionId).findLast(id => CLAIM.test(id ?? ''));
}

/** Orders that are paid on delivery travel before they are paid. */
function orderProcess(shop) {
    return {
        transitions: {
            PaymentAuthorized: { to: ['PartiallyShipped', 'Shipped', 'PartiallyDelivered', 'Delivered'], mergeStrategy: 'merge' },
        },
        async onTransitionStart(_from, to, { ctx, order }) {
            if (to === 'Cancelled') return shop.cancel(ctx, order);
        },
    };
}

/**
 * Cash on delivery that holds, by maillon. Add it with MaillonPlugin.init({url, key,
 * policy}); then make two payment methods in Vendure's dashboard, with the handlers
 * cod-advance and cod-cash and the checker maillon.
 */
class MaillonPlugin {
    constructor(connection, events, history, jobs, orders, contexts) {
        this.services = { connection, events, history, jobs, orders, contexts };
    }

    static init(options) {
        MaillonPlugin.shop = new Shop(options);
        return MaillonPlugin;
    }

    async onApplicationBootstrap() {
        await MaillonPlugin.shop.start(this.services);
    }
}

// What decorators would say in TypeScript.
Reflect.defineMetadata('design:paramtypes', [TransactionalConnection, EventBus, HistoryService, JobQueueService, OrderService, RequestContextService], MaillonPlugin);
VendurePlugin({
    imports: [PluginCommonModule],
    compatibility: '^3.7.0',
    configuration(config) {
        const { shop } = MaillonPlugin;
        if (!shop) throw new Error('maillon: add the plugin with MaillonPlugin.init({url, key, policy})');
        config.customFields.Order.push(...orderFields);
        config.orderOptions.process.push(orderProcess(shop));
        config.paymentOptions.paymentMethodEligibilityCheckers.push(checker(shop));
        config.paymentOptions.paymentMethodHandlers.push(advanceHandler(shop), cashHandler(shop));
        return config;
    },
})(MaillonPlugin);

module.exports = { MaillonPlugin };
