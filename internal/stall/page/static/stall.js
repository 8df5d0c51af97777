// The page of a stall: it checks buyers' codes without network, and tells the
// server what was sold when there is one.

import * as books from "./books.js";
import {canonical, hold, kinds, match, step} from "./codes.js";

const awake = 15 * 60_000; // unlocked without being used
const rounds = 210_000; // of PBKDF2
const tries = 5; // of the PIN before one has to wait
const wait = 30_000; // at first; twice as long after each further try
const longest = 3_600_000; // to wait
const patience = 15_000; // for an answer of the server
const batch = 500; // sales in one message
const whole = 7; // digits of an amount before the point

const $ = id => document.getElementById(id);
const views = ["no", "join", "locked", "sell", "verdict", "sales", "gone"];

let words, lang, language; // all, the one in use, its words
let till; // what this stall is
let token = ""; // of the link that was opened
let sale = {}; // being made: template, amount
let asking = "amount"; // or "code"
let busy = false;
let sleep; // timer

// --- words

function say(key, values = {}) {
	return language[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function speak(which) {
	lang = words[which] ? which : "fr";
	language = words[lang];
	document.documentElement.lang = lang;
	document.documentElement.dir = lang === "ar" ? "rtl" : "ltr";
	for (const e of document.querySelectorAll("[data-w]")) {
		e.textContent = say(e.dataset.w);
	}
	for (const e of document.querySelectorAll("[data-label]")) {
		e.setAttribute("aria-label", say(e.dataset.label));
	}
	$("point").textContent = lang === "fr" ? "," : ".";
	document.title = till ? till.stall : say("title");
}

const locale = () => lang === "ar" ? "ar-u-nu-latn" : lang;

function money(amount) {
	const digits = {minimumFractionDigits: till.decimals, maximumFractionDigits: till.decimals};
	return new Intl.NumberFormat(locale(), digits).format(amount / 10 ** till.decimals) + "\u00a0" + till.symbol;
}

const clock = at => new Intl.DateTimeFormat(locale(), {hour: "2-digit", minute: "2-digit", hourCycle: "h23"}).format(at);
const moment = at => new Intl.DateTimeFormat(locale(), {dateStyle: "short", timeStyle: "short", hourCycle: "h23"}).format(at);

function lasting(ms) {
	const s = Math.round(Math.abs(ms) / 1000);
	const [n, unit] = s < 120 ? [s, "second"] : s < 7200 ? [Math.round(s / 60), "minute"] : [Math.round(s / 3600), "hour"];
	return new Intl.NumberFormat(locale(), {style: "unit", unit, unitDisplay: "short"}).format(n);
}

// grouped writes a code as the SMS does.
function grouped(code) {
	const {group} = kinds[till.algorithm];
	return code.length > group ? code.slice(0, group) + " " + code.slice(group) : code;
}

// --- what is shown

function show(view) {
	for (const v of views) {
		$(v).hidden = v !== view;
	}
	document.body.dataset.view = view;
	$("bar").hidden = !(view === "sell" || view === "sales");
	if (till) {
		$("name").textContent = till.stall;
	}
	scrollTo(0, 0);
	$(view).querySelector("h1").focus();
}

function no(key) {
	$("no-why").textContent = say(key);
	show("no");
}

async function net() {
	const {all} = await books.unsent(1);
	if (!till) {
		return;
	}
	const state = [all ? say("to_send", {n: all}) : say("all_sent")];
	if (!navigator.onLine) {
		state.unshift(say("offline"));
	}
	$("net").textContent = state.join(", ");
	$("synced").textContent = till.synced ? say("synced", {time: moment(till.synced)}) : say("never");
	$("drift").textContent = clockFault() || say("drift_ok", {drift: (till.drift < 0 ? "−" : "+") + lasting(till.drift)});
	$("device").textContent = say("device", {device: till.device});
}

// --- becoming a stall

async function join(e) {
	e.preventDefault();
	const problem = text => { $("join-problem").textContent = text; };
	problem("");
	const link = token || /(?:#|^)([\w.~-]{8,200})$/.exec($("link").value.trim())?.[1];
	const pin = $("pin").value;
	if (!link) {
		return problem(say("bad_link"));
	}
	if (!/^\d{4,8}$/.test(pin)) {
		return problem(say("bad_pin"));
	}
	if (pin !== $("pin2").value) {
		return problem(say("bad_pin_again"));
	}
	if (busy) {
		return;
	}
	busy = true;
	try {
		// All that may fail here comes first: the link is good once.
		const lock = await locked(pin);
		await navigator.storage?.persist?.();
		const asked = Date.now();
		const answer = await post("enrol", {token: link});
		if (answer.status === 404 || answer.status === 410) {
			token = "";
			$("join-link").hidden = false;
			return problem(say("link_used"));
		}
		if (!answer.ok) {
			return problem(say("no_network"));
		}
		await found(await answer.json(), lock, asked);
	} catch (e) {
		problem(say(e instanceof TypeError || e.name === "AbortError" ? "no_network" : "no_answer"));
	} finally {
		busy = false;
	}
}

// found keeps what the server said that this stall is. The octets of the key
// are nowhere else afterwards.
async function found(given, lock, asked) {
	const octets = Uint8Array.from(atob(given.key), c => c.charCodeAt(0));
	const key = await hold(given.algorithm, octets);
	octets.fill(0);
	const now = Date.now();
	const {device, stall, algorithm, bearer, currency, symbol, decimals, templates, time} = given;
	await books.found({
		device, stall, algorithm, bearer, currency, symbol, decimals, templates, key, lock, lang,
		sound: true, tries: 0, until: 0, used: now, latest: now, synced: now, drift: Math.round((asked + now) / 2 - time),
	});
	till = await books.till();
	token = "";
	$("join-form").reset();
	speak(lang);
	open();
}

// --- the PIN

async function locked(pin, salt = crypto.getRandomValues(new Uint8Array(16))) {
	const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(pin), "PBKDF2", false, ["deriveBits"]);
	const bits = await crypto.subtle.deriveBits({name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds}, key, 256);
	return {salt, bits: String(new Uint8Array(bits))};
}

async function unlock(e) {
	e.preventDefault();
	const pin = $("unlock").value;
	$("unlock").value = "";
	if (busy) {
		return;
	}
	busy = true;
	try {
		till = await books.till();
		if (!till) {
			return start();
		}
		const left = till.until - Date.now();
		if (left > 0 && left <= longest) {
			$("unlock-problem").textContent = say("wait_pin", {seconds: Math.ceil(left / 1000)});
			return;
		}
		const wrong = till.tries + 1;
		const until = wrong < tries ? 0 : Date.now() + Math.min(longest, wait * 2 ** (wrong - tries));
		await books.amend({tries: wrong, until}); // before, so that leaving in between is a try too
		if ((await locked(pin, till.lock.salt)).bits !== till.lock.bits) {
			$("unlock-problem").textContent = say("wrong_pin");
			return;
		}
		till = await books.amend({tries: 0, until: 0, used: Date.now()});
		$("unlock-problem").textContent = "";
		open();
	} finally {
		busy = false;
	}
}

// stir puts off the moment at which the page locks itself.
async function stir() {
	clearTimeout(sleep);
	sleep = setTimeout(shut, awake);
	till = await books.amend({used: Date.now()}) ?? till;
}

async function shut() {
	clearTimeout(sleep);
	if (till) {
		till = await books.amend({used: 0});
		sale = {};
	}
	start();
}

// --- a sale

function open() {
	fresh();
	stir();
	sync();
}

// favourites shows what is sold, at the beginning of a sale.
function favourites() {
	const place = $("favourites");
	place.replaceChildren(...till.templates.map(t => {
		const b = document.createElement("button");
		b.type = "button";
		b.append(t.description);
		if (t.amount !== null) {
			const price = document.createElement("strong");
			price.textContent = money(t.amount);
			b.append(price);
		}
		b.addEventListener("click", () => pick(t));
		return b;
	}));
}

function fresh() {
	sale = {};
	favourites();
	ask("amount");
}

function pick(template) {
	sale = {template};
	if (template.amount === null) {
		ask("amount");
	} else {
		sale.amount = template.amount;
		ask("code");
	}
}

// ask asks for the amount or for the buyer's code. Here and not later it is said
// that the clock is wrong, for nothing moves under a finger.
function ask(what) {
	asking = what;
	const code = what === "code";
	const fault = clockFault();
	$("wrong-clock").textContent = fault;
	$("favourites").hidden = code || !till.templates.length;
	$("what").textContent = [sale.template?.description, code && money(sale.amount)].filter(Boolean).join(" · ");
	$("entry-label").textContent = say(what);
	$("entry").value = "";
	$("entry").className = what;
	$("entry-problem").textContent = "";
	$("back").hidden = !code && !sale.template;
	$("ok").textContent = say(code ? "check" : "to_code");
	$("point").disabled = code || !till.decimals;
	show("sell");
	if (matchMedia("(pointer: fine)").matches) {
		$("entry").focus();
	}
}

// pad makes the keys, once.
function pad() {
	for (const key of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "point", "0", "delete"]) {
		const b = document.createElement("button");
		b.type = "button";
		b.id = key === "point" ? key : "key-" + key;
		b.textContent = key === "delete" ? "⌫" : key;
		if (key === "delete") {
			b.dataset.label = "delete";
		}
		b.addEventListener("click", () => {
			const e = $("entry");
			e.value = key === "delete" ? e.value.slice(0, -1) : e.value + b.textContent;
			typed();
		});
		$("pad").append(b);
	}
}

// typed puts what was entered into its form, and checks a code that is whole.
function typed() {
	const e = $("entry");
	$("entry-problem").textContent = "";
	if (asking === "code") {
		const code = e.value.replace(/\D/g, "").slice(0, kinds[till.algorithm].digits);
		e.value = grouped(code);
		if (code.length === kinds[till.algorithm].digits) {
			check(code);
		}
		return;
	}
	const form = new RegExp(`^\\d{0,${whole}}` + (till.decimals ? `(?:[.,]\\d{0,${till.decimals}})?` : ""));
	e.value = form.exec(e.value.replace(/[^\d.,]/g, ""))[0];
}

function ok() {
	if (asking === "code") {
		const {digits} = kinds[till.algorithm];
		const code = $("entry").value.replace(/\D/g, "");
		if (code.length === digits) {
			check(code);
		} else {
			$("entry-problem").textContent = say("bad_code", {digits});
		}
		return;
	}
	const [units, rest = ""] = $("entry").value.split(/[.,]/);
	const amount = Number(units + rest.padEnd(till.decimals, "0"));
	if (!amount) {
		$("entry-problem").textContent = say("bad_amount", {example: money(5 * 10 ** till.decimals)});
		return;
	}
	sale.amount = amount;
	ask("code");
}

// clockFault says why no code can be checked by this telephone's clock, or "".
function clockFault() {
	const most = kinds[till.algorithm].window * step;
	const back = till.latest - Date.now();
	if (back > most) {
		return say("went_back", {drift: lasting(back)});
	}
	return Math.abs(till.drift) > most ? say(till.drift > 0 ? "fast" : "slow", {drift: lasting(till.drift)}) : "";
}

async function check(code) {
	if (busy) {
		return;
	}
	busy = true;
	const {amount, template} = sale;
	try {
		const fault = clockFault();
		if (fault) {
			return pronounce(false, fault);
		}
		const price = {amount, currency: till.currency, decimals: till.decimals};
		const at = Date.now();
		const found = await match(till.algorithm, till.key, code, price, at);
		if (found === null) {
			const minutes = kinds[till.algorithm].window * step / 60_000;
			return pronounce(false, say("wrong_why", {amount: money(amount), minutes}));
		}
		const number = till.algorithm === "numbered" ? code.slice(0, 2) : "";
		const mark = found + ":" + (number || code);
		const earlier = await books.sell({mark, at, amount, step: found, number, code, template: template?.id ?? "", description: template?.description ?? ""});
		if (earlier) {
			const used = say("used_why", {time: clock(earlier.at), amount: money(earlier.amount)});
			return pronounce(false, number ? used : used + " " + say("used_totp"));
		}
		till = await books.till();
		pronounce(true, say("paid_why", {n: grouped(code), time: clock(at)}));
		sync();
	} catch {
		if (!await books.till()) {
			return start();
		}
		pronounce(false, say("not_kept"));
	} finally {
		busy = false;
	}
}

function pronounce(good, why) {
	$("verdict").className = good ? "good" : "bad";
	$("sign").textContent = good ? "✔" : "✘";
	$("said").textContent = say(good ? "paid" : "refused");
	$("sum").textContent = money(sale.amount);
	$("why").textContent = why;
	$("again").hidden = good;
	show("verdict");
	stir();
	if (till.sound) {
		ring(good);
		navigator.vibrate?.(good ? [120] : [300, 120, 300, 120, 300]);
	}
}

let audio;

// ring is two notes up, or one low one, three times.
function ring(good) {
	try {
		audio ??= new AudioContext();
		audio.resume();
		const notes = good ? [[660, 0], [990, .15]] : [[180, 0], [180, .3], [180, .6]];
		for (const [pitch, after] of notes) {
			const tone = new OscillatorNode(audio, {frequency: pitch, type: good ? "sine" : "square"});
			const loud = new GainNode(audio, {gain: .3});
			tone.connect(loud).connect(audio.destination);
			tone.start(audio.currentTime + after);
			tone.stop(audio.currentTime + after + .2);
		}
	} catch {
		// a telephone without sound still shows
	}
}

// --- the day

const day = () => {
	const [y, m, d] = $("date").value.split("-").map(Number);
	return books.between(+new Date(y, m - 1, d), +new Date(y, m - 1, d + 1));
};

const two = n => String(n).padStart(2, "0");
const iso = d => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;

async function look() {
	$("date").value ||= iso(new Date());
	const all = await day();
	if (!till) {
		return; // taken away meanwhile
	}
	const kept = all.filter(s => !s.back);
	$("total").textContent = say("total", {amount: money(kept.reduce((sum, s) => sum + s.amount, 0))});
	$("count").textContent = say("count", {n: kept.length, back: all.length - kept.length});
	const wanted = $("find").value.replace(/\D/g, "");
	$("rows").replaceChildren(...all.reverse().filter(s => s.code.includes(wanted)).map(row));
	await net();
}

function row(s) {
	const tr = document.createElement("tr");
	const cell = (...content) => tr.insertCell().append(...content);
	cell(clock(s.at));
	const code = document.createElement("span");
	code.className = "code";
	code.textContent = grouped(s.code);
	cell(...(s.description ? [s.description, " "] : []), code);
	cell(money(s.amount));
	tr.cells[0].className = "when";
	tr.cells[2].className = "number";
	if (s.back) {
		tr.className = "back";
		cell(say("given_back", {time: clock(s.back)}));
		return tr;
	}
	const b = document.createElement("button");
	b.type = "button";
	b.textContent = say("give_back");
	b.addEventListener("click", async () => {
		if (await sure(say("ask_back", {amount: money(s.amount), time: clock(s.at), code: grouped(s.code)}), "ask_back_yes")) {
			await books.give(s.n, Date.now());
			await look();
			sync();
		}
	});
	cell(b);
	return tr;
}

// csv gives the day to spreadsheets, none of whose cells calculates.
async function csv() {
	const quoted = v => `"${String(v).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
	const lines = (await day()).map(s => [
		iso(new Date(s.at)), new Date(s.at).toTimeString().slice(0, 8), s.template, s.description, grouped(s.code),
		canonical({...till, amount: s.amount}).split(":")[1], till.currency, s.back ? new Date(s.back).toISOString() : "",
	]);
	const text = [["date", "time", "template", "description", "code", "amount", "currency", "given_back"], ...lines].map(l => l.map(quoted).join(",") + "\r\n").join("");
	const a = document.createElement("a");
	a.href = URL.createObjectURL(new Blob(["\ufeff", text], {type: "text/csv"}));
	a.download = `stall-${$("date").value}.csv`;
	a.click();
	setTimeout(() => URL.revokeObjectURL(a.href), patience);
}

// sure asks once more.
function sure(question, yes) {
	const d = $("ask");
	$("question").textContent = question;
	$("ask-yes").textContent = say(yes);
	d.returnValue = "";
	d.showModal();
	return new Promise(answer => d.addEventListener("close", () => answer(d.returnValue === "yes"), {once: true}));
}

async function remove() {
	const {all} = await books.unsent(1);
	if (await sure(say("ask_remove", {n: all}), "ask_remove_yes")) {
		await books.forget();
		start();
	}
}

// --- the server

function post(path, body, bearer) {
	const stop = new AbortController();
	const timer = setTimeout(() => stop.abort(), patience);
	return fetch(path, {
		method: "POST", body: JSON.stringify(body), signal: stop.signal, cache: "no-store", credentials: "omit",
		headers: {"Content-Type": "application/json", ...(bearer && {Authorization: "Bearer " + bearer})},
	}).finally(() => clearTimeout(timer));
}

let syncing; // the promise of it
let more; // has come meanwhile

// sync tells the server what was sold, and learns what is sold here, what time
// it is, and whether this is a stall still. Without network it does nothing.
function sync() {
	more = true;
	syncing ??= tell().finally(() => { syncing = undefined; });
	return syncing;
}

// tell ends when all is told that came meanwhile: each round takes some of it.
async function tell() {
	while (more && till) {
		more = false;
		try {
			const {some} = await books.unsent(batch);
			if (await report(some) && some.length === batch) {
				more = true;
			}
		} catch {
			// no network: what is to send stays so
		}
		await net();
	}
}

async function report(some) {
	const sales = some.map(s => ({at: s.at, amount: s.amount, code_step: s.step, nn: s.number, template: s.template, given_back: s.back || null}));
	const asked = Date.now();
	const answer = await post("sync", {sales}, till.bearer);
	if (answer.status === 401) {
		$("synced").textContent = say("unknown");
	}
	if (!answer.ok) {
		return false;
	}
	const {time, templates, revoked} = await answer.json();
	if (revoked) {
		await books.forget(true);
		start();
		return false;
	}
	const now = Date.now();
	const drift = Math.round((asked + now) / 2 - time);
	await books.sent(some, now);
	till = await books.amend({templates, drift, synced: now, latest: Math.abs(drift) > kinds[till.algorithm].window * step ? till.latest : now});
	return Boolean(till);
}

// --- the beginning

async function start() {
	till = await books.till();
	speak(till?.lang ?? lang);
	if (!till) {
		$("join-link").hidden = Boolean(token);
		show(!token && await books.gone() ? "gone" : "join");
		return;
	}
	const rest = Date.now() - till.used;
	if (rest >= 0 && rest < awake) {
		open();
	} else {
		show("locked");
		$("unlock").focus();
	}
}

function listen() {
	$("join-form").addEventListener("submit", join);
	$("unlock-form").addEventListener("submit", unlock);
	$("to-lock").addEventListener("click", shut);
	$("to-sell").addEventListener("click", fresh);
	$("to-day").addEventListener("click", async () => {
		$("date").value = iso(new Date());
		$("find").value = "";
		$("language").value = lang;
		$("sound").checked = till.sound;
		await look();
		show("sales");
		stir();
	});
	$("entry").addEventListener("input", typed);
	$("entry").addEventListener("keydown", e => {
		if (e.key === "Enter") {
			ok();
		}
	});
	$("ok").addEventListener("click", ok);
	$("back").addEventListener("click", fresh);
	$("next").addEventListener("click", fresh);
	$("again").addEventListener("click", () => ask("code"));
	$("date").addEventListener("change", look);
	$("find").addEventListener("input", look);
	$("csv").addEventListener("click", csv);
	$("sync").addEventListener("click", async () => {
		await sync();
		if (till) {
			await look();
		}
	});
	$("language").addEventListener("change", async () => {
		speak($("language").value);
		till = await books.amend({lang});
		await look();
	});
	$("sound").addEventListener("change", async () => { till = await books.amend({sound: $("sound").checked}); });
	$("ask-no").addEventListener("click", () => $("ask").close("no"));
	$("ask-yes").addEventListener("click", () => $("ask").close("yes"));
	for (const b of document.querySelectorAll(".remove")) {
		b.addEventListener("click", remove);
	}
	addEventListener("online", sync);
	addEventListener("offline", net);
	addEventListener("hashchange", arrive);
	document.addEventListener("visibilitychange", () => {
		if (document.visibilityState !== "visible" || !till) {
			return;
		}
		if (Date.now() - till.used > awake) {
			shut();
		} else {
			sync();
		}
	});
}

// arrive takes the token out of the address, where others could read it.
function arrive() {
	token = /^#([\w.~-]{8,200})$/.exec(location.hash)?.[1] ?? "";
	if (location.hash) {
		history.replaceState(null, "", location.pathname);
	}
	if (token && !till && words) {
		start();
	}
}

async function main() {
	arrive();
	words = await (await fetch("words.json")).json();
	for (const [code, {language_name: name}] of Object.entries(words)) {
		$("language").append(new Option(name, code));
	}
	pad();
	speak(navigator.languages.map(l => l.slice(0, 2)).find(l => words[l]) ?? "fr");
	if (!isSecureContext) {
		return no("no_secure");
	}
	try {
		await books.open();
		await navigator.serviceWorker.register("worker.js");
	} catch {
		return no("no_browser");
	}
	listen();
	start();
}

main();
