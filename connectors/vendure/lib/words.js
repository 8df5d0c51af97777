'use strict';

/** Every word that a client or an administrator reads: French and English. */
const WORDS = {
    fr: {
        code: 'Pour payer à la livraison, saisissez votre code.',
        phone: 'Pour payer à la livraison, donnez votre numéro de téléphone.',
        account: 'Pour payer à la livraison, connectez-vous à votre compte.',
        send: (text, to, price) => `Pour payer à la livraison, envoyez par SMS ${text} au ${to}${price}.`,
        sendMany: (n, text, to, price) => `Pour payer à la livraison, envoyez ${n} fois par SMS ${text} au ${to}${price}.`,
        each: price => ` (${price} par SMS)`,
        theShop: 'numéro du service',
        advanceFirst: amount => `Payez d'abord l'avance de ${amount}, déjà réglée par SMS.`,
        noAdvance: 'Cette commande ne demande pas d\'avance.',
        tries: 'Trop de codes faux. Attendez un quart d\'heure, puis réessayez.',
        busy: 'Trop de demandes à la fois. Réessayez dans un instant ; rien n\'a été pris.',
        outage: 'Le paiement à la livraison est indisponible pour le moment. Réessayez, ou choisissez un autre paiement ; rien n\'a été pris.',
        unavailable: 'Le paiement à la livraison est indisponible. Choisissez un autre paiement ; rien n\'a été pris.',
        over: 'Cette commande a déjà eu son issue. Faites une nouvelle commande.',
        authorization_not_found: 'Code, compte ou numéro inconnu.',
        authorization_pending: 'Il manque encore des SMS.',
        authorization_exhausted: 'Toutes les commandes permises ont été faites.',
        authorization_expired: 'Votre autorisation est arrivée à son terme.',
        authorization_revoked: 'Votre autorisation a été retirée par le vendeur.',
        authorization_forfeited: 'Une commande n\'a pas été honorée : l\'autorisation est perdue.',
        authorization_closed: 'Cette autorisation est terminée.',
        order_limit_reached: 'Vous avez fait toutes les commandes permises.',
        too_many_open_orders: 'Des commandes sont encore en route : attendez qu\'elles arrivent.',
        advance_required: 'L\'avance est épuisée.',
        order_total_too_high: 'Cette commande dépasse le montant permis à la livraison.',
        currency_mismatch: 'Le paiement à la livraison n\'est pas possible dans cette monnaie.',
        delivery_not_allowed: 'Le paiement à la livraison n\'est pas possible avec ce mode de livraison.',
        order_ref_conflict: 'Cette commande a été acceptée avec un autre total : rétablissez le panier, ou faites une nouvelle commande.',
        phone_form: 'Ce n\'est pas un numéro de téléphone.',
        // For administrators.
        unreachable: 'maillon ne répond pas ; rien n\'a changé. Réessayez.',
        refused: code => `maillon refuse (${code}) ; rien n'a changé.`,
        state: state => `Pour maillon, cette commande est déjà « ${state} » ; rien n'a changé ici.`,
        evidenceNeeded: 'Une commande non honorée demande une raison et au moins une preuve : remplissez ces champs de la commande, puis réessayez.',
        settledApart: state => `Payée au livreur, mais pour maillon elle est « ${state} » : elle n'y compte pas.`,
        covered: 'maillon est revenu : cette commande est autorisée maintenant.',
        uncovered: why => `Aucun dépôt ni aucune avance ne couvre cette commande. ${why}`,
        passedInOutage: 'Acceptée sans autorisation : maillon ne répondait pas, et le réglage on_outage est « open ».',
    },
    en: {
        code: 'To pay on delivery, enter your code.',
        phone: 'To pay on delivery, give your telephone number.',
        account: 'To pay on delivery, sign in to your account.',
        send: (text, to, price) => `To pay on delivery, send ${text} by SMS to ${to}${price}.`,
        sendMany: (n, text, to, price) => `To pay on delivery, send ${text} by SMS to ${to}, ${n} times${price}.`,
        each: price => ` (${price} an SMS)`,
        theShop: 'the number of the service',
        advanceFirst: amount => `First pay the advance of ${amount}, which you have sent by SMS.`,
        noAdvance: 'This order needs no advance.',
        tries: 'Too many wrong codes. Wait a quarter of an hour, then try again.',
        busy: 'Too much was asked at once. Try again in a moment; nothing was taken.',
        outage: 'Paying on delivery is not possible at the moment. Try again, or choose another payment; nothing was taken.',
        unavailable: 'Paying on delivery is not possible. Choose another payment; nothing was taken.',
        over: 'This order has had its outcome. Make a new order.',
        authorization_not_found: 'No such code, account or number.',
        authorization_pending: 'Some SMS are missing.',
        authorization_exhausted: 'All the orders that are allowed were made.',
        authorization_expired: 'Your authorisation has come to its end.',
        authorization_revoked: 'Your authorisation was withdrawn by the seller.',
        authorization_forfeited: 'An order was not honoured: the authorisation is lost.',
        authorization_closed: 'This authorisation is over.',
        order_limit_reached: 'You have made all the orders that are allowed.',
        too_many_open_orders: 'Orders are still on their way: wait until they arrive.',
        advance_required: 'The advance is spent.',
        order_total_too_high: 'This order is above what can be paid on delivery.',
        currency_mismatch: 'Paying on delivery is not possible in this currency.',
        delivery_not_allowed: 'Paying on delivery is not possible with this way of delivery.',
        order_ref_conflict: 'This order was let through with another total: put the cart back, or make a new order.',
        phone_form: 'This is not a telephone number.',
        unreachable: 'maillon does not answer; nothing has changed. Try again.',
        refused: code => `maillon refuses (${code}); nothing has changed.`,
        state: state => `For maillon this order is "${state}" already; nothing has changed here.`,
        evidenceNeeded: 'An order that was not honoured needs a reason and at least one piece of evidence: fill in these fields of the order, then try again.',
        settledApart: state => `Paid to the courier, but for maillon it is "${state}": it does not count there.`,
        covered: 'maillon is back: this order is let through now.',
        uncovered: why => `No deposit and no advance stands behind this order. ${why}`,
        passedInOutage: 'Let through without authorisation: maillon did not answer, and on_outage is "open".',
    },
};

/** The words for whoever asks: English for those who read it, French for all others. */
function words(ctx) {
    return String(ctx.languageCode).startsWith('en') ? WORDS.en : WORDS.fr;
}

/** A sum as people write it. */
function sum(ctx, minor, currency) {
    const language = words(ctx) === WORDS.en ? 'en' : 'fr';
    try {
        const format = new Intl.NumberFormat(language, { style: 'currency', currency, currencyDisplay: 'code' });
        return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
    } catch {
        return `${minor} ${currency}`; // not a currency of ISO 4217
    }
}

/** What the client does to be allowed, in a sentence; empty if there is nothing to do. */
function instructions(ctx, what) {
    if (!what || what.messages < 1) return '';
    const w = words(ctx);
    const price = what.price > 0 ? w.each(sum(ctx, what.price, what.currency)) : '';
    const to = what.short_code ?? w.theShop;
    return what.messages > 1 ? w.sendMany(what.messages, what.text, to, price) : w.send(what.text, to, price);
}

module.exports = { WORDS, words, sum, instructions };
