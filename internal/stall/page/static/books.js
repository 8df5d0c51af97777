// What a stall keeps on this telephone: what it is, and its sales. A sale's
// mark, the time and the number of its code, is there once: that is how a code
// that was used is known, also after a reload and in two windows at once.

const days = 31; // that a sale is kept after it was sent
const most = 5000; // sales that are looked at for one day

let db;

// done waits until a transaction is on disk.
const done = tx => new Promise((yes, no) => {
	tx.oncomplete = () => yes();
	tx.onabort = () => no(tx.error ?? new Error("aborted"));
});

const answer = request => new Promise((yes, no) => {
	request.onsuccess = () => yes(request.result);
	request.onerror = () => no(request.error);
});

// begin opens a transaction in which something changes. Strict, for nobody is
// told PAID before it is on disk.
const begin = (...stores) => db.transaction(stores, "readwrite", {durability: "strict"});

export async function open() {
	const request = indexedDB.open("stall", 1);
	request.onupgradeneeded = () => {
		request.result.createObjectStore("till");
		const sales = request.result.createObjectStore("sales", {keyPath: "n", autoIncrement: true});
		sales.createIndex("mark", "mark", {unique: true});
		sales.createIndex("at", "at");
		sales.createIndex("sent", "sent");
	};
	db = await answer(request);
	db.onversionchange = () => db.close();
}

// till returns what this stall is; undefined while it is none.
export const till = () => answer(db.transaction("till").objectStore("till").get("till"));

// found makes this telephone a stall, with nothing of another.
export async function found(till) {
	const tx = begin("till", "sales");
	tx.objectStore("sales").clear();
	tx.objectStore("till").clear();
	tx.objectStore("till").put(till, "till");
	await done(tx);
}

// amend changes some of what the stall is, and returns it all; undefined if it
// is none any more.
export async function amend(changes) {
	const tx = begin("till");
	const kept = tx.objectStore("till");
	let till;
	kept.get("till").onsuccess = e => {
		till = e.target.result;
		if (till) {
			kept.put(Object.assign(till, changes), "till");
		}
	};
	await done(tx);
	return till;
}

// forget takes everything away: what the stall is, its key, its sales. It is
// remembered whether somebody else wanted that.
export async function forget(gone = false) {
	const tx = begin("till", "sales");
	tx.objectStore("till").clear();
	tx.objectStore("sales").clear();
	tx.objectStore("till").put(gone, "gone");
	await done(tx);
}

export const gone = () => answer(db.transaction("till").objectStore("till").get("gone"));

// sell writes a sale down, unless its code was used: then it returns the sale
// for which it was.
export async function sell(sale) {
	const tx = begin("till", "sales");
	const sales = tx.objectStore("sales");
	let earlier;
	tx.objectStore("till").get("till").onsuccess = e => {
		const till = e.target.result;
		if (!till) {
			tx.abort(); // taken away in another window
			return;
		}
		sales.index("mark").get(sale.mark).onsuccess = e => {
			earlier = e.target.result;
			if (!earlier) {
				sales.add({...sale, back: 0, sent: 0});
				tx.objectStore("till").put({...till, latest: Math.max(till.latest, sale.at)}, "till");
			}
		};
	};
	await done(tx);
	return earlier;
}

// between returns the sales of a time, the first first.
export const between = (from, until) =>
	answer(db.transaction("sales").objectStore("sales").index("at").getAll(IDBKeyRange.bound(from, until, false, true), most));

// unsent returns some sales that the server does not know, and how many they
// are in all.
export async function unsent(limit) {
	const index = db.transaction("sales").objectStore("sales").index("sent");
	const [some, all] = await Promise.all([answer(index.getAll(0, limit)), answer(index.count(0))]);
	return {some, all};
}

// give notes that a sale was given back.
export async function give(n, at) {
	const tx = begin("sales");
	const sales = tx.objectStore("sales");
	sales.get(n).onsuccess = e => {
		const sale = e.target.result;
		if (sale && !sale.back) {
			sales.put({...sale, back: at, sent: 0});
		}
	};
	await done(tx);
}

// sent notes that the server knows sales as they were, and drops old ones.
export async function sent(some, now) {
	const tx = begin("sales");
	const sales = tx.objectStore("sales");
	for (const {n, back} of some) {
		sales.get(n).onsuccess = e => {
			const sale = e.target.result;
			if (sale && sale.back === back) {
				sales.put({...sale, sent: 1});
			}
		};
	}
	sales.index("at").openCursor(IDBKeyRange.upperBound(now - days * 86_400_000)).onsuccess = e => {
		const cursor = e.target.result;
		if (cursor) {
			if (cursor.value.sent) {
				cursor.delete();
			}
			cursor.continue();
		}
	};
	await done(tx);
}
