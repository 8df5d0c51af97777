'use strict';

const { LanguageCode, PaymentMethodEligibilityChecker, PaymentMethodHandler } = require('@vendure/core');
const { NotNow } = require('./gate');
const { Outage, Problem } = require('./api');
const { words, sum } = require('./words');

/** The codes under which Vendure knows the parts of an order that is paid on delivery. */
const ADVANCE = 'cod-advance';
const CASH = 'cod-cash';

/** How many pieces of evidence are sent, and how long one or a reason may be, in octets. */
const MAX_EVIDENCE = 10;
const MAX_PIECE = 200;

/** States in which money that the courier brings is no business of maillon. */
const APART = ['released', 'reinstated', 'withdrawn'];

const said = (en, fr) => [{ languageCode: LanguageCode.en, value: en }, { languageCode: LanguageCode.fr, value: fr }];

/**
 * Says whether the methods may be chosen. Vendure asks it twice: when the client
 * looks at the methods, and again when one is added to the order.
 */
function checker(shop) {
    return new PaymentMethodEligibilityChecker({
        code: 'maillon',
        description: said('Only who is let through by maillon', 'Seulement qui est autorisé par maillon'),
        args: {},
        async check(ctx, order, _args, method) {
            const w = words(ctx);
            const cash = method.handler.code === CASH;
            try {
                const own = await shop.order(ctx, order);
                const found = await shop.gate.check(ctx, own);
                const left = found.advance - advancePaid(own);
                if (cash) return left > 0 ? w.advanceFirst(sum(ctx, left, own.currencyCode)) : true;
                return left > 0 ? true : w.noAdvance;
            } catch (error) {
                if (error instanceof NotNow) return error.message;
                if (error instanceof Outage) return (cash && shop.gate.open()) || w.outage;
                throw error;
            }
        },
    });
}

/** What the client has paid by SMS already: settled at once. */
function advanceHandler(shop) {
    return new PaymentMethodHandler({
        code: ADVANCE,
        description: said('Advance by SMS (maillon)', 'Avance par SMS (maillon)'),
        args: {},
        async createPayment(ctx, order, amount) {
            return shop.taking(ctx, order, amount, async (claim, own) => {
                const left = Math.min(claim.advance_amount - advancePaid(own), amount);
                if (left < 1) throw new NotNow(words(ctx).noAdvance);
                return {
                    amount: left,
                    state: 'Settled',
                    transactionId: claim.id,
                    metadata: { public: { cashDue: claim.cash_due } },
                };
            });
        },
        settlePayment: () => ({ success: true }),
        /** Settled if maillon gave the advance back to the client; else it waits for whoever gives it back by hand. */
        async createRefund(_ctx, _input, _amount, _order, payment) {
            try {
                if (await shop.gate.returned(payment.transactionId)) return { state: 'Settled', transactionId: payment.transactionId };
            } catch (error) {
                if (!(error instanceof Problem || error instanceof Outage)) throw error;
            }
            return undefined;
        },
    });
}

/** What is paid to the courier: authorized when the order is placed, settled when the money is there. */
function cashHandler(shop) {
    return new PaymentMethodHandler({
        code: CASH,
        description: said('Cash on delivery (maillon)', 'Paiement à la livraison (maillon)'),
        args: {},
        async createPayment(ctx, order, amount) {
            const cash = async (claim, own) => {
                const left = claim.advance_amount - advancePaid(own);
                if (left > 0) throw new NotNow(words(ctx).advanceFirst(sum(ctx, left, own.currencyCode)));
                return { amount, state: 'Authorized', transactionId: claim.id, metadata: {} };
            };
            const inOutage = async () => {
                await shop.note(ctx, order, words(ctx).passedInOutage);
                return { amount, state: 'Authorized', metadata: { outage: true } };
            };
            return shop.taking(ctx, order, amount, cash, inOutage);
        },
        async settlePayment(ctx, order, payment) {
            return shop.ending(ctx, order, payment, id => shop.gate.end(id, 'honour'), APART);
        },
        async cancelPayment(ctx, order, payment) {
            return shop.cancelling(ctx, order, payment);
        },
    });
}

/** What both handlers do with the gate: answers for Vendure instead of errors. */
class Desk {
    /** Takes the order's slot and makes a payment of it, or declines. */
    async taking(ctx, order, amount, make, inOutage) {
        try {
            const own = await this.order(ctx, order);
            return await make(await this.gate.take(ctx, own), own);
        } catch (error) {
            if (error instanceof Outage && inOutage && this.gate.open()) return await inOutage();
            const why = error instanceof NotNow ? error.message : error instanceof Outage ? words(ctx).outage : undefined;
            if (why === undefined) throw error;
            return { amount, state: 'Declined', errorMessage: why, metadata: {} };
        }
    }

    /** Says an outcome. If it is refused the payment stays as it is, with why, so that it can be tried again. */
    async ending(ctx, order, payment, say, apart = []) {
        if (!payment.transactionId) return { success: true }; // let through in an outage
        try {
            await say(payment.transactionId);
        } catch (error) {
            if (!(error instanceof Problem && apart.includes(error.state))) {
                return { success: false, state: payment.state, errorMessage: this.apology(ctx, error) };
            }
            await this.note(ctx, order, words(ctx).settledApart(error.state));
        }
        return { success: true };
    }

    /** Says why the order is cancelled: one button of Vendure, three outcomes of maillon. */
    async cancelling(ctx, order, payment) {
        const { codOutcome, codReason, codEvidence } = (await this.order(ctx, order)).customFields;
        const reason = cut(codReason ?? '');
        const optional = reason ? { reason } : {};
        switch (codOutcome) {
            case 'not_honoured': {
                const evidence = (codEvidence ?? '').split('\n').map(cut).filter(Boolean);
                if (payment.transactionId && (!reason || evidence.length === 0)) {
                    return { success: false, state: payment.state, errorMessage: words(ctx).evidenceNeeded };
                }
                const body = { reason, evidence: evidence.slice(0, MAX_EVIDENCE) };
                return this.ending(ctx, order, payment, id => this.gate.end(id, 'not_honoured', body));
            }
            case 'withdrawn':
                return this.ending(ctx, order, payment, id => this.gate.end(id, 'withdraw', optional));
            default:
                return this.ending(ctx, order, payment, id => this.gate.end(id, 'release', optional));
        }
    }

    /** What an administrator reads when maillon did not do it. */
    apology(ctx, error) {
        const w = words(ctx);
        if (error instanceof Problem) return error.state ? w.state(error.state) : w.refused(error.code);
        if (error instanceof Outage) return w.unreachable;
        throw error;
    }
}

/** As much of a text as is taken, without half a letter at the end. */
function cut(text) {
    const octets = Buffer.from(text.trim());
    let end = Math.min(octets.length, MAX_PIECE);
    while (end < octets.length && (octets[end] & 0xc0) === 0x80) end--;
    return octets.subarray(0, end).toString();
}

/** What of the advance was added to the order. */
function advancePaid(order) {
    return order.payments
        .filter(payment => payment.state === 'Settled' && payment.metadata?.public?.cashDue !== undefined)
        .reduce((total, payment) => total + payment.amount, 0);
}

module.exports = { ADVANCE, CASH, APART, Desk, checker, advanceHandler, cashHandler };
