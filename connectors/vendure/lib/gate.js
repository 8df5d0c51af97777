'use strict';

const { createHash, randomUUID } = require('node:crypto');
const { Api, Problem, Outage } = require('./api');
const { words, instructions } = require('./words');

/** How long what the policy says is believed, and what it said of outages. */
const POLICY_FOR = 60_000; // ms
/** Where a claim counts as let through. */
const LIVE = ['reserved', 'open'];

/** An order that may not be paid on delivery, with what its client reads. */
class NotNow extends Error {}

/** The order holds a claim with another total. */
class CartChanged extends Error {}

/**
 * Asks maillon whether an order may be paid on delivery, takes its slot, and says
 * how it ended. One for each shop; nothing in it is kept that another process of
 * the same shop would have to know.
 */
class Gate {
    constructor({ policy, onOutage, pickups = {}, logger, ...connection }) {
        if (!/^pol_[1-9][0-9]*$/.test(policy ?? '')) throw new Error('maillon: `policy` is the ID of a policy, such as pol_3');
        if (onOutage !== undefined && onOutage !== 'closed' && onOutage !== 'open') {
            throw new Error('maillon: `onOutage` is closed or open; left out, the policy says');
        }
        this.api = new Api(connection);
        this.policy = policy;
        this.onOutage = onOutage;
        this.pickups = pickups;
        this.logger = logger;
        this.known = undefined; // the policy as it was read last
        this.readAt = 0;
    }

    /**
     * Whether the order may be paid on delivery now: {advance, cash, claim}. Throws a
     * NotNow with what the client reads, or an Outage.
     */
    check(ctx, order) {
        return this.#answering(ctx, order, async () => {
            const answer = await this.api.post('/v1/authorizations/check', await this.#question(ctx, order));
            if (answer.reason === 'order_ref_conflict') throw new CartChanged();
            if (!answer.allowed) throw new NotNow(await this.#why(ctx, order, answer));
            return { advance: answer.advance_amount, cash: answer.cash_due, claim: answer.claim };
        });
    }

    /** Lets the order through and returns its claim, now or when it was asked first. Throws as check does. */
    take(ctx, order) {
        return this.#answering(ctx, order, async () => {
            const claim = await this.api.post('/v1/claims', await this.#question(ctx, order), anew(order.code));
            if (!LIVE.includes(claim.status)) throw new NotNow(words(ctx).over);
            return claim;
        });
    }

    claim(id) {
        return this.api.get(`/v1/claims/${id}`);
    }

    /** Whether the advance of an order went back to the client. */
    async returned(id) {
        const { status } = await this.claim(id);
        return status === 'released' || (status === 'withdrawn' && (await this.#read()).withdrawal_refunds);
    }

    /** Says what became of a claim: confirm, honour, release, not_honoured or withdraw. */
    end(id, act, body) {
        return this.api.post(`/v1/claims/${id}/${act}`, body, once(`${id}.${act}`, body));
    }

    /** What the shop does while maillon cannot be reached. */
    open() {
        return (this.onOutage ?? this.known?.on_outage ?? 'closed') === 'open';
    }

    /** The cart has another total than when its slot was taken: that slot is free again, unless the order was placed. */
    async #free(ctx, order) {
        const { data } = await this.api.get(`/v1/claims?order_ref=${encodeURIComponent(order.code)}`);
        for (const claim of data) {
            if (claim.status !== 'reserved') throw new NotNow(words(ctx).order_ref_conflict);
            await this.end(claim.id, 'release', { reason: 'the cart has changed' });
        }
    }

    /** Who asks for what, as the API wants it. */
    async #question(ctx, order) {
        const who = await this.#who(ctx, order);
        const point = (order.shippingLines ?? []).map(line => this.pickups[line.shippingMethod?.code]).find(Boolean);
        return {
            ...who,
            policy: this.policy,
            order_ref: order.code,
            order_total: order.totalWithTax,
            currency: order.currencyCode,
            delivery: point ? 'pickup' : 'home',
            ...(point && { pickup_point: point }),
            shopper: hash(`${ctx.session?.token}|${ctx.req?.ip}`),
        };
    }

    /** How the shop knows the client, as the flow of the policy says. */
    async #who(ctx, order) {
        const policy = await this.#read();
        switch (policy.flow) {
            case 'phone': {
                const phone = order.customer?.phoneNumber || order.shippingAddress?.phoneNumber;
                if (!phone) throw new NotNow(words(ctx).phone);
                return { phone };
            }
            case 'username': {
                // Only who has signed in: a name alone could be anybody's. What the shop itself asks is of an order that was placed.
                const user = order.customer?.user?.id;
                if (ctx.apiType === 'shop' && (user === undefined || String(user) !== String(ctx.activeUserId))) throw new NotNow(words(ctx).account);
                return { username: username(order.customer) };
            }
            default: {
                const code = order.customFields?.codCode?.trim();
                if (!code) throw new NotNow(join(words(ctx).code, instructions(ctx, fresh(policy))));
                return { code };
            }
        }
    }

    /** Why not, and what the client can do about it. */
    async #why(ctx, order, answer) {
        let what = answer.instructions;
        const policy = await this.#read();
        if (policy.flow === 'username' && ['authorization_not_found', 'authorization_pending'].includes(answer.reason)) {
            // The text that her account shows binds the name to the number that sends it.
            const body = { policy: this.policy, username: username(order.customer) };
            what = (await this.api.post('/v1/authorizations', body, anew(order.code))).instructions;
        }
        return join(words(ctx)[answer.reason] ?? words(ctx).unavailable, instructions(ctx, what));
    }

    async #read() {
        if (this.known === undefined || Date.now() - this.readAt > POLICY_FOR) {
            this.known = await this.api.get(`/v1/policies/${this.policy}`);
            this.readAt = Date.now();
        }
        return this.known;
    }

    /** Turns what the API refuses into what the client reads. What the shop did wrong is for its log. */
    async #answering(ctx, order, ask, changed = true) {
        try {
            return await ask();
        } catch (error) {
            if (changed && (error instanceof CartChanged || error.code === 'order_ref_conflict')) {
                return this.#answering(ctx, order, async () => {
                    await this.#free(ctx, order);
                    return ask();
                }, false);
            }
            if (error instanceof CartChanged) throw new NotNow(words(ctx).order_ref_conflict);
            if (!(error instanceof Problem)) {
                if (error instanceof Outage) this.logger.warn(error.message);
                throw error;
            }
            const w = words(ctx);
            if (error.code === 'too_many_attempts') throw new NotNow(w.tries);
            if (error.status === 429 || error.code === 'idempotency_key_running') throw new NotNow(w.busy);
            if (error.code === 'phone') throw new NotNow(w.phone_form);
            if (error.status === 409 && typeof w[error.code] === 'string') throw new NotNow(w[error.code]);
            this.logger.error(`${error.message}: look at the plugin's key and policy`);
            throw new NotNow(w.unavailable);
        }
    }
}

/** An Idempotency-Key of an outcome: there is one. */
function once(act, body) {
    return `vendure.${act}.${hash(JSON.stringify(body ?? null))}`;
}

/** An Idempotency-Key for what its order or name keeps from being done twice: an answer of before could be out of date. */
function anew(order) {
    return `vendure.${order}.${randomUUID()}`;
}

function hash(text) {
    return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function username(customer) {
    return `c${customer.id}`;
}

/** What a client who has sent nothing yet sends. */
function fresh(policy) {
    return { ...policy, text: policy.keyword, messages: policy.messages_required };
}

function join(...sentences) {
    return sentences.filter(Boolean).join(' ');
}

module.exports = { Gate, NotNow };
