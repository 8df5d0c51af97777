// The codes by which a stall without network knows that it was paid, as
// docs/protocol/stall.md says them. Nothing here looks at a clock, keeps
// anything, or shows anything.

// A step is the time for which a code is made.
export const step = 30_000; // milliseconds

// How many steps a code's time may be from this telephone's, either way, and
// how many digits a code has.
export const kinds = {
	numbered: {window: 4, digits: 8, group: 2},
	totp: {window: 2, digits: 8, group: 4},
	totp_price: {window: 2, digits: 8, group: 4},
};

const text = new TextEncoder();
const hmac = hash => ({name: "HMAC", hash});

// hold takes the octets of a key into what a browser keeps and never gives
// back. GNU Taler's derivation with the price has the key where Web Crypto
// wants a message, so that this one is kept sealed by a key that cannot be
// read either.
export async function hold(algorithm, octets) {
	switch (algorithm) {
	case "numbered":
		return {mac: await crypto.subtle.importKey("raw", octets, hmac("SHA-256"), false, ["sign"])};
	case "totp":
		return {mac: await crypto.subtle.importKey("raw", octets, hmac("SHA-1"), false, ["sign"])};
	case "totp_price": {
		const lid = await crypto.subtle.generateKey({name: "AES-GCM", length: 256}, false, ["encrypt", "decrypt"]);
		const iv = crypto.getRandomValues(new Uint8Array(12));
		return {lid, iv, sealed: await crypto.subtle.encrypt({name: "AES-GCM", iv}, lid, octets)};
	}
	}
	throw new RangeError("no such algorithm");
}

// match returns the step for which a code is the right one, or null. The price
// is {amount, currency, decimals}: whole smallest units, and how many of their
// digits come after the point. Time is in milliseconds.
export async function match(algorithm, key, code, price, time) {
	const kind = kinds[algorithm];
	if (!new RegExp(`^[0-9]{${kind.digits}}$`).test(code)) {
		return null;
	}
	const mac = await maker(algorithm, key, price);
	const now = Math.floor(time / step);
	for (let off = 0; off <= kind.window; off++) {
		for (const at of off ? [now - off, now + off] : [now]) {
			if (await mac(at, code) === code) {
				return at;
			}
		}
	}
	return null;
}

// maker returns what makes the code of a step; a numbered one needs to know the
// number that it begins with.
async function maker(algorithm, key, price) {
	if (algorithm === "numbered") {
		const due = text.encode(canonical(price));
		return async (at, code) => {
			const number = code.slice(0, 2);
			const mac = await crypto.subtle.sign("HMAC", key.mac, join(u64(at), text.encode(number), due));
			return number + truncate(mac, 6);
		};
	}
	const counter = algorithm === "totp" ? key.mac : await priced(key, price);
	return async at => truncate(await crypto.subtle.sign("HMAC", counter, u64(at)), 8);
}

// canonical writes a price as the server does: MAD:5.00.
export function canonical({amount, currency, decimals}) {
	const digits = String(amount).padStart(decimals + 1, "0");
	const whole = digits.length - decimals;
	return currency + ":" + digits.slice(0, whole) + (decimals ? "." + digits.slice(whole) : "");
}

// priced derives the key of a price: HKDF as GNU Taler has it, which extracts
// with SHA-512 and expands with SHA-256, to 64 octets.
async function priced({lid, iv, sealed}, price) {
	const secret = new Uint8Array(await crypto.subtle.decrypt({name: "AES-GCM", iv}, lid, sealed));
	const extract = await crypto.subtle.importKey("raw", taler(price), hmac("SHA-512"), false, ["sign"]);
	const drawn = await crypto.subtle.sign("HMAC", extract, secret);
	secret.fill(0);
	const expand = await crypto.subtle.importKey("raw", drawn, hmac("SHA-256"), false, ["sign"]);
	const first = await crypto.subtle.sign("HMAC", expand, Uint8Array.of(1));
	const second = await crypto.subtle.sign("HMAC", expand, join(new Uint8Array(first), Uint8Array.of(2)));
	return crypto.subtle.importKey("raw", join(new Uint8Array(first), new Uint8Array(second)), hmac("SHA-1"), false, ["sign"]);
}

// taler writes a price as GNU Taler does: whole units, hundred-millionths, and
// the currency in twelve octets.
function taler({amount, currency, decimals}) {
	const unit = 10 ** decimals;
	const octets = join(u64(Math.floor(amount / unit)), new Uint8Array(4), new Uint8Array(12));
	new DataView(octets.buffer).setUint32(8, amount % unit * 10 ** (8 - decimals));
	octets.set(text.encode(currency).subarray(0, 11), 12);
	return octets;
}

// truncate takes decimal digits out of a code of authentication, RFC 4226.
function truncate(mac, digits) {
	const view = new DataView(mac);
	const at = view.getUint8(mac.byteLength - 1) & 15;
	return String((view.getUint32(at) & 0x7fffffff) % 10 ** digits).padStart(digits, "0");
}

function u64(n) {
	const octets = new Uint8Array(8);
	const view = new DataView(octets.buffer);
	view.setUint32(0, Math.floor(n / 2 ** 32));
	view.setUint32(4, n % 2 ** 32);
	return octets;
}

function join(...parts) {
	const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	parts.reduce((at, p) => (all.set(p, at), at + p.length), 0);
	return all;
}
